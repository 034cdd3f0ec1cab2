// ioredis on a server and on stock Redis: every answer must be the same.
//
//   npm install ioredis
//   node ioredis.mjs QUIRE_PORT REDIS_PORT
//
// Both servers listen on 127.0.0.1 and are emptied. Exits with 1 when an answer differs. Cursors
// and times are not compared; the sets they lead to are.

import { setTimeout as sleep } from 'node:timers/promises';
import Redis from 'ioredis';

const ports = process.argv.slice(2).map(Number);
if (ports.length !== 2 || ports.some((port) => !(port > 0))) {
  console.error('usage: node ioredis.mjs QUIRE_PORT REDIS_PORT');
  process.exit(2);
}
const connect = (port, options = {}) => new Redis(port, '127.0.0.1', options);
const text = (value) =>
  JSON.stringify(value, (_, v) => (v instanceof Error ? { error: v.message } : v));
const sorted = (list) => [...list].sort();
const all = async (stream) => {
  const got = [];
  for await (const part of stream) got.push(...part);
  return got;
};

// Each: what it is about, and what is done with a connection `r`; `port` opens others.
const steps = {
  strings: async (r) => [
    await r.set('a', '1'), await r.get('a'), await r.getBuffer('a'), await r.incr('a'),
    await r.incrbyfloat('a', 0.5), await r.append('a', 'x'), await r.strlen('a'),
    await r.getrange('a', 0, 1), await r.setrange('a', 3, 'yy'), await r.getdel('a'),
    await r.set('b', 'v', 'EX', 100, 'NX'), await r.set('b', 'w', 'NX'), await r.set('b', 'u', 'GET'),
    await r.mset(new Map([['m1', 'v1'], ['m2', 'v2']])), await r.mset({ m3: 3, m4: 4 }),
    await r.mget('m1', 'm2', 'm3', 'm4', 'no'), await r.msetnx('m1', 1, 'm9', 1),
    await r.setbit('bits', 7, 1), await r.bitcount('bits'), await r.bitfield('bits', 'GET', 'u8', 0),
    await r.set(Buffer.from([0, 255, 10]), Buffer.from([1, 0, 13, 10])),
    await r.getBuffer(Buffer.from([0, 255, 10])), await r.pfadd('p', 'a', 'b'), await r.pfcount('p'),
  ],
  keys: async (r) => [
    await r.set('k', 'v'), await r.expire('k', 100), (await r.ttl('k')) > 90, await r.persist('k'),
    await r.pexpireat('k', 4102444800000), await r.expiretime('k'), await r.rename('k', 'k2'),
    await r.copy('k2', 'k3'), await r.type('k2'), await r.exists('k', 'k2', 'k3'),
    await r.object('ENCODING', 'k2'), await r.touch('k2', 'k3'), await r.unlink('k2', 'k3'),
    await r.dbsize() > 0, await r.move('m1', 5), await r.select(5), await r.get('m1'), await r.select(0),
  ],
  hashes: async (r) => [
    await r.hset('h', { a: 1, b: 2 }), await r.hset('h', new Map([['c', 3]])), await r.hgetall('h'),
    await r.hgetall('no'), await r.hmget('h', 'a', 'no'), await r.hincrby('h', 'a', 4),
    await r.hdel('h', 'b'), sorted(await r.hkeys('h')), await r.hlen('h'), await r.hexists('h', 'c'),
    await r.hsetnx('h', 'c', 9), await r.hstrlen('h', 'a'), await r.hincrbyfloat('h', 'f', 1.25),
  ],
  lists: async (r) => [
    await r.rpush('l', '1', '2', '3', '2'), await r.lrange('l', 0, -1), await r.lpush('l', 'x'),
    await r.lpop('l'), await r.rpop('l', 2), await r.linsert('l', 'BEFORE', '2', 'new'),
    await r.lpos('l', 'new'), await r.lset('l', 0, 'first'), await r.lmove('l', 'l', 'LEFT', 'RIGHT'),
    await r.lmpop(2, 'no', 'l', 'LEFT'), await r.llen('l'), await r.ltrim('l', 0, 0), await r.lrange('l', 0, -1),
  ],
  sets: async (r) => [
    await r.sadd('s', 'a', 'b', 'c'), await r.sadd('{s}2', 'b', 'c', 'd'), sorted(await r.smembers('s')),
    sorted(await r.sinter('s', '{s}2')), sorted(await r.sunion('s', '{s}2')), await r.sdiff('s', '{s}2'),
    await r.sinterstore('{s}3', 's', '{s}2'), await r.smismember('s', 'a', 'no'), await r.smove('s', '{s}2', 'a'),
    await r.scard('{s}2'), await r.sintercard(2, 's', '{s}2'), await r.srem('s', 'b', 'c'), await r.exists('s'),
    await r.sadd('far', 'a'), await r.sunionstore('away', 'far', '{s}2'), sorted(await r.smembers('away')),
  ],
  'sorted sets': async (r) => [
    await r.zadd('z', 1, 'a', 2, 'b', '+inf', 'c'), await r.zrange('z', 0, -1, 'WITHSCORES'),
    await r.zincrby('z', 0.5, 'a'), await r.zscore('z', 'a'), await r.zmscore('z', 'a', 'no'),
    await r.zrangebyscore('z', '-inf', '+inf', 'LIMIT', 0, 2), await r.zrevrank('z', 'a'), await r.zcount('z', 1, 2),
    await r.zrange('z', '[a', '(c', 'BYLEX'), await r.zpopmax('z'), await r.zunion(1, 'z', 'WITHSCORES'),
    await r.zrangestore('{z}2', 'z', 0, -1), await r.zmpop(1, 'z', 'MIN'),
    await r.geoadd('g', 13.361389, 38.115556, 'p'), await r.geosearch('g', 'FROMMEMBER', 'p', 'BYRADIUS', 10, 'km'),
  ],
  streams: async (r) => [
    await r.xadd('st', '1-1', 'f', 'v'), await r.xadd('st', '2-1', 'f', 'w', 'g', 'u'), await r.xlen('st'),
    await r.xrange('st', '-', '+'), await r.xrevrange('st', '+', '-', 'COUNT', 1),
    await r.xgroup('CREATE', 'st', 'grp', '0'),
    await r.xreadgroup('GROUP', 'grp', 'c', 'COUNT', 1, 'STREAMS', 'st', '>'), await r.xpending('st', 'grp'),
    await r.xack('st', 'grp', '1-1'), await r.xautoclaim('st', 'grp', 'd', 0, '0'), await r.xread('STREAMS', 'st', '1-1'),
    await r.xdel('st', '1-1'), await r.xtrim('st', 'MAXLEN', 1), await r.xinfo('GROUPS', 'st'),
  ],
  pipelines: async (r) => [
    await r.pipeline().set('p', '1').get('p').incr('p').lpush('p', 'x').del('p').exec(),
    (await Promise.all(Array.from({ length: 2000 }, (_, i) => r.set(`pk:${i}`, i)))).every((x) => x === 'OK'),
    await Promise.all(Array.from({ length: 50 }, (_, i) => r.get(`pk:${i * 40}`))),
    (await r.pipeline(Array.from({ length: 500 }, (_, i) => ['get', `pk:${i}`])).exec()).map(([, v]) => v),
  ],
  transactions: async (r, port) => {
    const other = connect(port);
    const out = [
      await r.multi().set('t1', '1').incr('t1').lpush('t1', 'x').mget('t1', 'pk:1', 'pk:2').exec(),
      await r.multi({ pipeline: false }), await r.set('t2', 'a'), await r.get('t2'), await r.exec(),
      await r.watch('t2'), await other.set('t2', 'changed'), await r.multi().set('t2', 'lost').exec(),
      await r.get('t2'), await r.multi().call('NOSUCH').exec().catch((e) => e),
      await r.multi({ pipeline: false }), await r.discard(),
    ];
    other.disconnect();
    return out;
  },
  waiting: async (r, port) => {
    const waiter = connect(port);
    const blocked = async () => {
      while (!/blocked_clients:1/.test(await r.info('clients'))) await sleep(1);
    };
    const out = [await r.blpop('none', 'empty', 0.01)];
    let wait = waiter.blpop('q1', 'q2', 'q3', 0);
    await blocked();
    out.push(await r.rpush('q2', 'one', 'two'), await wait, await r.lrange('q2', 0, -1));
    wait = waiter.blmove('{q}5', '{q}6', 'LEFT', 'RIGHT', 0);
    await blocked();
    out.push(await r.rpush('{q}5', 'moved'), await wait, await r.lrange('{q}6', 0, -1));
    wait = waiter.bzpopmin('bz', 0);
    await blocked();
    out.push(await r.zadd('bz', 3, 'm'), await wait);
    wait = waiter.xread('BLOCK', 0, 'STREAMS', 'bst', '$');
    await blocked();
    out.push(await r.xadd('bst', '9-9', 'f', 'v'), await wait);
    waiter.disconnect();
    return out;
  },
  scans: async (r) => [
    sorted(await all(r.scanStream({ match: 'pk:*', count: 100 }))).length,
    new Set(await all(r.scanStream({ count: 7 }))).size === (await r.dbsize()),
    await r.hset('big', Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${i}`, i]))),
    (await all(r.hscanStream('big', { count: 50 }))).length,
    await r.sadd('bigset', ...Array.from({ length: 1000 }, (_, i) => `m${i}`)),
    new Set(await all(r.sscanStream('bigset'))).size, sorted(await all(r.zscanStream('bz'))),
    sorted(await all(r.scanStream({ type: 'hash' }))),
  ],
  'other connections': async (r, port) => {
    const other = connect(port, { enableAutoPipelining: true, db: 3, keyPrefix: 'pre:', connectionName: 'me' });
    const done = await Promise.all(Array.from({ length: 1000 }, (_, i) => other.set(`k${i}`, i)));
    const out = [
      done.every((reply) => reply === 'OK'), await other.get('k7'), await other.client('GETNAME'), await r.select(3),
      await r.get('pre:k7'), await r.select(0),
    ];
    const monitor = await r.duplicate().monitor();
    const seen = new Promise((resolve) => {
      monitor.on('monitor', (_, args) => args[0] === 'set' && resolve(args));
    });
    await other.set('mon', '1');
    out.push(await seen);
    monitor.disconnect();
    out.push(await r.client('KILL', 'TYPE', 'normal', 'SKIPME', 'yes') > 0);
    out.push(await other.get('k8'));
    other.disconnect();
    return out;
  },
  errors: async (r) => {
    const fail = (promise) => promise.catch((error) => error.message);
    return [
      await fail(r.call('NOSUCH', 'x')), await fail(r.call('GET')), await fail(r.incr('l')), await fail(r.lpush('h', 1)),
      await fail(r.set('a', '1', 'EX', 0)), await fail(r.xadd('st', '1-1', 'f', 'v')), await fail(r.select(99)),
      await fail(r.config('SET', 'no-such', '1')), await fail(r.zadd('z', 'x', 'm')),
    ];
  },
  administration: async (r) => [
    await r.ping(), await r.echo('e'), await r.config('GET', 'maxmemory-policy'), /redis_version:7/.test(await r.info()),
    await r.command('COUNT') > 0, (await r.command('GETKEYS', 'mset', 'a', 1, 'b', 2)), (await r.time()).length,
    await r.slowlog('RESET'), await r.slowlog('LEN'), await r.memory('USAGE', 'no'), await r.lastsave() > 0,
  ],
};

let compared = 0;
let differ = 0;
const connections = ports.map((port) => connect(port));
for (const r of connections) await r.flushall();
for (const [name, step] of Object.entries(steps)) {
  const [ours, theirs] = await Promise.all(
    connections.map((r, at) => step(r, ports[at]).catch((error) => [{ thrown: error.message }])),
  );
  for (let at = 0; at < Math.max(ours.length, theirs.length); at++) {
    compared += 1;
    if (text(ours[at]) === text(theirs[at])) continue;
    differ += 1;
    console.log(`${name}, answer ${at}:\n  here  ${text(ours[at])}\n  Redis ${text(theirs[at])}`);
  }
}
connections.forEach((r) => r.disconnect());
console.log(`${compared} answers compared, ${differ} differ`);
process.exit(differ === 0 ? 0 : 1);
