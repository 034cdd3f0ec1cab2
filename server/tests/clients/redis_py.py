"""What redis-py users do with strings and keys, in both protocols. Ends with 'all passed'."""

import sys
import threading

import redis


def check(protocol, port):
    r = redis.Redis(port=port, protocol=protocol, decode_responses=True)
    assert r.ping() is True
    r.flushdb()

    assert r.set("a", "1") is True
    assert r.get("a") == "1"
    assert r.get("absent") is None
    assert r.set("a", "2", nx=True) is None
    assert r.set("a", "2", xx=True, get=True) == "1"
    assert r.incr("n") == 1 and r.incrby("n", 41) == 42 and r.decr("n") == 41
    assert r.incrbyfloat("f", 1.5) == 1.5
    assert r.append("a", "bc") == 3 and r.strlen("a") == 3
    assert r.getrange("a", 0, 1) == "2b"
    assert r.mset({"x": "1", "y": "2", "{x}z": "3"}) is True
    assert r.mget("x", "absent", "y", "{x}z") == ["1", None, "2", "3"]
    assert r.exists("x", "y", "absent", "x") == 3
    assert r.type("x") == "string"

    assert r.expire("x", 100) is True
    assert 0 < r.ttl("x") <= 100
    assert r.persist("x") is True and r.ttl("x") == -1 and r.ttl("absent") == -2
    assert r.set("y", "2", px=60000) is True and 0 < r.pttl("y") <= 60000

    assert r.rename("x", "renamed") is True and r.get("renamed") == "1"
    assert r.delete("renamed", "y", "absent") == 2

    r.set(b"\x00\xff\r\n", b"bytes")
    raw = redis.Redis(port=port, protocol=protocol)
    assert raw.get(b"\x00\xff\r\n") == b"bytes"
    big = b"v" * (4 << 20)
    assert raw.set("big", big) is True and raw.get("big") == big
    assert raw.delete(b"\x00\xff\r\n", "big") == 2

    with r.pipeline(transaction=False) as pipe:
        for i in range(1000):
            pipe.set(f"p:{i}", i)
            pipe.get(f"p:{i}")
        replies = pipe.execute()
    assert replies == [x for i in range(1000) for x in (True, str(i))]
    assert sorted(r.scan_iter(match="p:*", count=50)) == sorted(f"p:{i}" for i in range(1000))
    assert r.dbsize() == len(r.keys("*"))

    try:
        r.execute_command("INCR", "a")
        raise AssertionError("INCR of text must fail")
    except redis.ResponseError as error:
        assert str(error) == "value is not an integer or out of range", error

    other = redis.Redis(port=port, protocol=protocol, db=5, decode_responses=True)
    other.set("here", "only")
    assert r.get("here") is None and other.dbsize() == 1
    other.flushdb()


def count_together(port):
    def work():
        r = redis.Redis(port=port)
        for _ in range(500):
            r.incr("together")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert redis.Redis(port=port).get("together") == b"4000"


def main():
    port = int(sys.argv[1])
    for protocol in (2, 3):
        check(protocol, port)
    count_together(port)
    print("all passed")


main()
