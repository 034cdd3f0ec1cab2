// A queue's life with BullMQ, whose every step is a Lua script over keys without {hash tags}.
//
//   npm install bullmq ioredis
//   node bullmq.mjs PORT
//
// The server listens on 127.0.0.1 and is emptied. Two workers of their own connections process what
// is added; in the end every job has been processed exactly as often as it should. Exits with 1
// when something is not as expected.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { FlowProducer, Queue, QueueEvents, UnrecoverableError, Worker } from 'bullmq';
import Redis from 'ioredis';

const port = Number(process.argv[2]);
if (!(port > 0)) {
  console.error('usage: node bullmq.mjs PORT');
  process.exit(2);
}
const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
const redis = new Redis(connection);
await redis.flushall();
const opened = [redis];
const open = (thing) => (opened.push(thing), thing);
let passed = 0;
const done = (what) => {
  passed += 1;
  console.log(`ok: ${what}`);
};
const until = async (what, condition) => {
  const end = Date.now() + 30_000;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not within 30 s: ${what}`);
    await sleep(5);
  }
};

// How often each job was begun, by queue and job.
const begun = new Map();
const work = (queue, process, options = {}) =>
  open(
    new Worker(
      queue,
      async (job) => {
        const key = `${queue}:${job.id}`;
        begun.set(key, (begun.get(key) ?? 0) + 1);
        return process(job);
      },
      { connection, ...options },
    ),
  );
const counts = (queue) => queue.getJobCounts('waiting', 'active', 'completed', 'failed', 'delayed', 'prioritized');

try {
  // Many jobs, two workers, each job once.
  const plain = open(new Queue('plain', { connection }));
  const events = open(new QueueEvents('plain', { connection }));
  await events.waitUntilReady();
  const heard = new Set();
  events.on('completed', ({ jobId }) => heard.add(jobId));
  for (const _ of [1, 2]) work('plain', async (job) => job.data.n * 2, { concurrency: 10 });
  const jobs = await plain.addBulk(Array.from({ length: 500 }, (_, n) => ({ name: 'double', data: { n } })));
  await until('500 jobs', async () => (await plain.getCompletedCount()) === 500);
  for (const n of [0, 7, 499]) {
    assert.equal((await plain.getJob(jobs[n].id)).returnvalue, n * 2);
  }
  assert(jobs.every((job) => begun.get(`plain:${job.id}`) === 1), 'a job was processed twice, or never');
  await until('500 events', () => heard.size === 500);
  assert.deepEqual(await counts(plain), { waiting: 0, active: 0, completed: 500, failed: 0, delayed: 0, prioritized: 0 });
  done('500 jobs by two workers, each once, each told of');

  // waitUntilFinished: the answer comes by the stream of events.
  const late = await plain.add('double', { n: 21 });
  assert.equal(await late.waitUntilFinished(events, 20_000), 42);
  done('a job that somebody waits for');

  // Failures: tried again, with a backoff; given up; given up at once.
  const shaky = open(new Queue('shaky', { connection }));
  work('shaky', async (job) => {
    if (job.name === 'never') throw new Error('no');
    if (job.name === 'at once') throw new UnrecoverableError('hopeless');
    if (job.attemptsMade < 2) throw new Error('not yet');
    return 'at last';
  });
  const attempts = { attempts: 3, backoff: { type: 'fixed', delay: 30 } };
  const third = await shaky.add('third', {}, attempts);
  const never = await shaky.add('never', {}, attempts);
  const hopeless = await shaky.add('at once', {}, attempts);
  await until('failures', async () => {
    const { completed, failed } = await counts(shaky);
    return completed === 1 && failed === 2;
  });
  assert.equal((await shaky.getJob(third.id)).returnvalue, 'at last');
  assert.equal((await shaky.getJob(never.id)).failedReason, 'no');
  assert.deepEqual([third, never, hopeless].map((job) => begun.get(`shaky:${job.id}`)), [3, 3, 1]);
  done('jobs that fail: tried again, given up');
  await (await shaky.getJob(hopeless.id)).retry();
  await until('a retry', async () => begun.get(`shaky:${hopeless.id}`) === 2 && (await counts(shaky)).failed === 2);
  done('a failed job that is retried by hand');

  // Delays and priorities.
  const timed = open(new Queue('timed', { connection }));
  const order = [];
  const start = Date.now();
  const waits = await timed.add('delayed', {}, { delay: 300 });
  assert.equal(await waits.getState(), 'delayed');
  await timed.pause();
  for (const priority of [3, 1, 2]) await timed.add(`priority ${priority}`, {}, { priority });
  await timed.add('first', {});
  work('timed', async (job) => order.push([job.name, Date.now() - start]));
  await timed.resume();
  await until('a delayed job', async () => order.length === 5);
  assert.deepEqual(order.slice(0, 4).map(([name]) => name), ['first', 'priority 1', 'priority 2', 'priority 3']);
  assert(order[4][0] === 'delayed' && order[4][1] >= 295, `${order[4]}`);
  done('a paused queue, priorities, a delayed job');

  // A rate limit.
  const slow = open(new Queue('slow', { connection }));
  await slow.addBulk(Array.from({ length: 9 }, (_, n) => ({ name: 'tick', data: { n } })));
  const times = [];
  work('slow', async () => times.push(Date.now()), { limiter: { max: 3, duration: 300 } });
  await until('a limited queue', () => times.length === 9);
  assert(times[8] - times[0] >= 550, `nine jobs, three in 300 ms, took ${times[8] - times[0]} ms`);
  done('a rate limit');

  // A parent waits for its children, which are in another queue.
  const flow = open(new FlowProducer({ connection }));
  work('children', async (job) => job.data.n);
  work('parents', async (job) => Object.values(await job.getChildrenValues()).reduce((a, b) => a + b, 0));
  const parents = open(new Queue('parents', { connection }));
  const tree = await flow.add({
    name: 'sum',
    queueName: 'parents',
    children: Array.from({ length: 10 }, (_, n) => ({ name: 'part', data: { n }, queueName: 'children' })),
  });
  await until('a parent', async () => (await parents.getJob(tree.job.id)).returnvalue === 45);
  done('a parent and ten children');

  // A job again and again.
  const again = open(new Queue('again', { connection }));
  let ticks = 0;
  work('again', async () => (ticks += 1));
  await again.upsertJobScheduler('beat', { every: 50, limit: 5 });
  await until('five beats', () => ticks >= 5);
  await again.removeJobScheduler('beat');
  done('a job scheduler');

  // What is cleaned up.
  assert.equal((await plain.clean(0, 1000, 'completed')).length, 501);
  await plain.add('double', { n: 1 }, { removeOnComplete: true });
  await until('a job that leaves nothing', async () => (await counts(plain)).completed === 0);
  await plain.obliterate({ force: true });
  assert.deepEqual(await redis.keys('bull:plain:*').then((keys) => keys.filter((key) => !/stalled-check|marker/.test(key))), []);
  done('clean and obliterate');
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
await Promise.allSettled(opened.reverse().map((thing) => (thing instanceof Redis ? thing.quit() : thing.close())));
console.log(`${passed} of 9 passed`);
process.exit(process.exitCode ?? (passed === 9 ? 0 : 1));
