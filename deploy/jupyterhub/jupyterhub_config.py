"""A hub on one machine, for a room: `make hub`, as root. deploy/README.md says what to do first.

Each learner is a system user, learner-NAME, with a home that nobody else can read, and a role and a database in
PostgreSQL. So learners are kept apart by what Linux and PostgreSQL do anyway. What is theirs to share is the machine:
its processors, its memory beyond the limit of each process, and its disk.
"""

import os
import pwd
import resource
import subprocess
import sys
from asyncio import to_thread
from collections.abc import Callable
from pathlib import Path

from jupyterhub.spawner import LocalProcessSpawner, set_user_setuid

from deploy.hosted import STATE, refusal, serve_room
from deploy.learner import closed_to_learners
from workshop.files import CHECKOUT

PROCESSES = 1000  # of one learner, and threads count: JupyterLab and a few kernels need about 200


class LearnerSpawner(LocalProcessSpawner):
    """Starts a learner's JupyterLab as a system user of the learner's own, made at the first start."""

    @property
    def account(self) -> str:
        """What the system calls the learner: never the name of somebody who is on this machine anyway."""
        return f"learner-{self.user.name}"

    async def start(self) -> tuple[str, int]:
        await to_thread(make_account, self.account)
        return await super().start()

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        account = pwd.getpwnam(self.account)
        return env | {"USER": self.account, "HOME": account.pw_dir, "SHELL": account.pw_shell}

    def make_preexec_fn(self, name: str) -> Callable[[], None]:
        memory = self.mem_limit
        become_learner = set_user_setuid(self.account)

        def limit_and_become() -> None:
            if memory:
                resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
            resource.setrlimit(resource.RLIMIT_NPROC, (PROCESSES, PROCESSES))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            os.nice(5)  # the hub and PostgreSQL come first
            os.umask(0o077)
            become_learner()

        return limit_and_become


def make_account(name: str) -> None:
    """Make a system user with a home of its own, where there is none of that name."""
    try:
        pwd.getpwnam(name)
        return
    except KeyError:
        how = ["--create-home", "--key", "HOME_MODE=0700", "--user-group", "--shell", "/bin/bash"]
    made = subprocess.run(["useradd", *how, name], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if made.returncode:
        raise refusal(
            "Your account on this machine could not be made. Your instructor finds the reason in the hub's log.",
            f"useradd {name}: {made.stderr.strip()}",
        )


if os.geteuid() != 0:
    sys.exit(
        "The hub gives each learner a system user, and only root can make those.\n"
        "Run it as root, on a machine that is there for the workshop alone."
    )

if closed := closed_to_learners():
    sys.exit(
        f"Learners could not get into {closed}, and they run the kit with what is in there.\n"
        "Put the checkout where everybody may read it, such as /opt/event-store, and make .venv with a Python that"
        " everybody may run: make .venv/hub PYTHON=/usr/bin/python3"
    )

c = get_config()  # noqa: F821

STATE.mkdir(mode=0o700, parents=True, exist_ok=True)

serve_room(c)

c.JupyterHub.spawner_class = LearnerSpawner
c.Spawner.cmd = [sys.executable, str(CHECKOUT / "deploy" / "learner.py")]
c.Spawner.default_url = "/lab/tree/notebooks/00_welcome.ipynb"
c.Spawner.environment = {"PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"}
c.Spawner.mem_limit = os.environ.get("WORKSHOP_MEMORY", "2G")  # of each process, not of all that a learner runs
# Thirty who press the button at once get there one after the other.
c.Spawner.start_timeout = 180
c.Spawner.http_timeout = 180

# All that the hub keeps is in one folder, which only root can enter.
c.JupyterHub.db_url = f"sqlite:///{STATE}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = str(STATE / "cookie_secret")
c.ConfigurableHTTPProxy.pid_file = str(STATE / "proxy.pid")
c.ConfigurableHTTPProxy.command = [str(CHECKOUT / ".venv" / "node_modules" / ".bin" / "configurable-http-proxy")]

# Who went home two hours ago needs no JupyterLab; notebooks and databases stay.
c.JupyterHub.services = [
    {"name": "idle-culler", "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=7200"]}
]
c.JupyterHub.load_roles = [
    {
        "name": "idle-culler",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["idle-culler"],
    }
]
