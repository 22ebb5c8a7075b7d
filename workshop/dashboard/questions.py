"""What the notebooks ask before an experiment: a room's dashboard shows what the room expects."""

import ast
import json
import re
from dataclasses import dataclass
from functools import cache

from ..checks.course import NOTEBOOKS
from ..files import CHECKOUT


@dataclass(frozen=True)
class Question:
    """What is asked of an experiment, and the words to choose from: none where the answer is a number."""

    text: str
    words: tuple[str, ...]

    def takes(self, answer: str) -> bool:
        """Whether that is an answer: a learner can send another one by hand, and a room would see it."""
        return answer in self.words if self.words else bool(re.fullmatch(r"-?\d{1,9}(\.\d{1,4})?", answer))


@cache
def questions() -> dict[str, Question]:
    """Return the questions of all notebooks, by the number of the prediction."""
    found = {}
    for name in NOTEBOOKS:
        cells = json.loads((CHECKOUT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
        for source in ("".join(cell["source"]) for cell in cells):
            if source.startswith("predict("):
                for call in [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]:
                    texts = [each.value for each in call.args if isinstance(each, ast.Constant)]
                    prediction_id, question, *words = [each for each in texts if isinstance(each, str)]
                    found[prediction_id] = Question(question, tuple(words))
    return found
