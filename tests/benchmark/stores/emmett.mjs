// Emmett's side of the comparison: the tasks of client.py, done and timed in Node.
//
// It reads a task a line, {"task": ..., "arguments": {...}}, and answers with a line, {"number": ...} or {"error": ...}.
// The pipe is not measured: the clock runs in here.
import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { performance } from 'node:perf_hooks';
import { DeciderCommandHandler, STREAM_DOES_NOT_EXIST, isExpectedVersionConflictError } from '@event-driven-io/emmett';
import {
  getPostgreSQLEventStore,
  postgreSQLProjection,
  readMessagesBatch,
  rebuildPostgreSQLProjections,
} from '@event-driven-io/emmett-postgresql';
import { dumbo, rawSql, sql } from '@event-driven-io/dumbo';

const connectionString = process.argv[2];
const PAGE = 1000;
const STREAM_LENGTH = 20; // appends to one stream before the next one begins, as in client.py

const migrating = getPostgreSQLEventStore(connectionString);
const store = getPostgreSQLEventStore(connectionString, { schema: { autoMigration: 'None' } });

// The bank: amounts are text in JSON, as everywhere in this comparison, and numbers where they are added up.
const opened = (account_id) => ({ type: 'AccountOpened', data: { account_id, currency: 'PLN' } });
const moved = (type, account_id, amount, cashier_id) => ({ type, data: { account_id, amount, cashier_id } });
const deposit = (account_id) => moved('DepositRecorded', account_id, '100.00', 'cashier-7');
const history = (account_id, length) => [
  opened(account_id),
  ...Array.from({ length: length - 1 }, (_, n) =>
    n % 2 === 0
      ? moved('DepositRecorded', account_id, '100.00', `cashier-${n % 20}`)
      : moved('CashWithdrawn', account_id, '50.50', `cashier-${n % 20}`),
  ),
];
const initialState = () => ({ status: 'unknown', balance: 0 });
const evolve = (account, { type, data }) => {
  switch (type) {
    case 'AccountOpened':
      return { account_id: data.account_id, currency: data.currency, status: 'open', balance: 0 };
    case 'DepositRecorded':
      return { ...account, balance: account.balance + Number(data.amount) };
    case 'CashWithdrawn':
      return { ...account, balance: account.balance - Number(data.amount) };
    default:
      return account;
  }
};
const decide = (command, account) => {
  if (account.status !== 'open') throw new Error(`the account is ${account.status}`);
  return moved('DepositRecorded', account.account_id, command.data.amount, command.data.cashier_id);
};
const handle = DeciderCommandHandler({ decide, evolve, initialState });

const append = (stream, events, version) =>
  store.appendToStream(stream, events, {
    expectedStreamVersion: version === 0 ? STREAM_DOES_NOT_EXIST : BigInt(version),
  });

// How much each account changed, added to the table. A rebuild hands the events over one by one.
const balances = postgreSQLProjection({
  name: 'account_balances',
  canHandle: ['AccountOpened', 'DepositRecorded', 'CashWithdrawn'],
  init: async ({ context: { execute } }) => {
    await execute.command(
      rawSql('CREATE TABLE IF NOT EXISTS account_balances (account_id text PRIMARY KEY, balance numeric NOT NULL)'),
    );
  },
  truncate: async ({ execute }) => {
    await execute.command(rawSql('DELETE FROM account_balances'));
  },
  handle: async (events, { execute }) => {
    const changes = new Map();
    for (const { type, data } of events) {
      const change = type === 'AccountOpened' ? 0 : (type === 'CashWithdrawn' ? -1 : 1) * Number(data.amount);
      changes.set(data.account_id, (changes.get(data.account_id) ?? 0) + change);
    }
    await execute.command(
      sql(
        'INSERT INTO account_balances AS b (account_id, balance) VALUES %L' +
          ' ON CONFLICT (account_id) DO UPDATE SET balance = b.balance + excluded.balance',
        [...changes].map(([account, change]) => [account, change.toFixed(2)]),
      ),
    );
  },
});

const seconds = async (call) => {
  const start = performance.now();
  await call();
  return (performance.now() - start) / 1000;
};
const repeat = async (calls, call) => {
  const taken = [];
  for (let number = 0; number < calls; number++) taken.push(await call(number));
  taken.sort((a, b) => a - b);
  const middle = calls >> 1;
  return calls % 2 ? taken[middle] : (taken[middle - 1] + taken[middle]) / 2;
};
const check = (holds, what) => {
  if (!holds) throw new Error(what);
};

const tasks = {
  migrate: async () => {
    await migrating.schema.migrate();
    return 0;
  },
  fill: async ({ accounts, events }) => {
    if ((await store.readStream('account-0')).streamExists) return 0; // for an earlier row
    for (let n = 0; n < accounts; n++) await append(`account-${n}`, history(`account-${n}`, events), 0);
    return 0;
  },
  fill_stream: async ({ length }) => {
    await append(`account-read-${length}`, history('account-read', length), 0);
    return 0;
  },
  append: async ({ label, batch, calls }) =>
    batch /
    (await repeat(calls, (call) => {
      const stream = `account-${label}-${Math.floor(call / STREAM_LENGTH)}`;
      const events = Array.from({ length: batch }, () => deposit(stream));
      return seconds(() => append(stream, events, (call % STREAM_LENGTH) * batch));
    })),
  together: async ({ label, writer, seconds: duration, shared }) => {
    const stream = shared ? `account-${label}` : `account-${label}-${writer}`;
    let version = 0;
    let done = 0;
    const start = performance.now();
    let now = start;
    while (now - start < duration * 1000) {
      try {
        await append(stream, [deposit(stream)], version);
        version += 1;
        done += 1;
      } catch (error) {
        if (!isExpectedVersionConflictError(error)) throw error;
        // The error knows no version. The cheapest look: the events after the last one that is known.
        version = Number((await store.readStream(stream, { from: BigInt(version + 1) })).currentStreamVersion) || version;
      }
      now = performance.now();
    }
    return (done * 1000) / (now - start);
  },
  read: async ({ length, calls }) => {
    const stream = `account-read-${length}`;
    check((await store.readStream(stream)).events.length === length, 'not what was appended');
    return length / (await repeat(calls, () => seconds(() => store.readStream(stream))));
  },
  command: async ({ label, length, calls }) => {
    const stream = `account-${label}`;
    await append(stream, history(stream, length), 0);
    const command = { type: 'RecordDeposit', data: { amount: '1.00', cashier_id: 'cashier-7' } };
    const rate = 1 / (await repeat(calls, () => seconds(() => handle(store, stream, command))));
    check((await store.readStream(stream)).events.length === length + calls, 'not what was appended');
    return rate;
  },
  log: async ({ count }) => {
    const pool = dumbo({ connectionString });
    let after = 0n;
    let done = 0;
    const taken = await seconds(async () => {
      while (done < count) {
        const batch = await readMessagesBatch(pool.execute, { after, batchSize: Math.min(PAGE, count - done) });
        if (batch.messages.length === 0) break;
        done += batch.messages.length;
        after = batch.currentGlobalPosition;
      }
    });
    check(done === count, `${done} events in the log, not ${count}`);
    return count / taken;
  },
  rebuild: async ({ count, total }) => {
    const consumer = rebuildPostgreSQLProjections({
      connectionString,
      // A name of its own for each: under the same one, the second rebuild empties the table, finds the checkpoint of
      // the first one, and leaves the table empty.
      projections: [
        {
          projection: balances,
          processorId: `rebuild-${randomUUID()}`,
          stopAfter: ({ metadata }) => metadata.globalPosition >= BigInt(count),
        },
      ],
      pulling: { batchSize: PAGE, pullingFrequencyInMs: 0 }, // it pauses for 50 ms after each batch by default
    });
    const taken = await seconds(() => consumer.start());
    await consumer.close();
    const pool = dumbo({ connectionString });
    const { rows } = await pool.execute.query(rawSql('SELECT sum(balance) AS total FROM account_balances'));
    check(Number(rows[0].total) === Number(total), `the balances add up to ${rows[0].total}, not to ${total}`);
    return count / taken;
  },
};

// What Emmett itself logs goes to stderr; stdout is for the answers.
console.log = console.info = console.debug = console.error;
for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    const { task, arguments: given } = JSON.parse(line);
    answer = { number: await tasks[task](given) };
  } catch (error) {
    answer = { error: `${error?.name ?? 'Error'}: ${error?.message ?? error}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
