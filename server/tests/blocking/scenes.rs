//! Scenes with clients that wait: `a`, `b`, `c` and `d` are connections.
//!
//! `a WORDS` asks and reads the reply; `a WORDS &` sends, and waits until the server counts one more
//! blocked client; `a <` reads a reply; `a PIPE X | Y` sends several; `a closes`, `a returns`;
//! `blocked N` waits for that many blocked clients. `$a` is the id of a connection.

/// Clients are served in their order, keys in that in which they became ready.
pub const ORDER: &str = "
a BLPOP q 0 &
b BRPOP q 0 &
c BLPOP other q 0 &
d RPUSH q 1 2 3 4
a <
b <
c <
d LRANGE q 0 -1
d DEL q
a BLPOP k1 k2 k3 0 &
d RPUSH k2 x
a <
d RPUSH k3 y
d RPUSH k1 z
a BLPOP k1 k2 k3 0
a BLPOP k1 k2 k3 0
a BLPOP k2 k1 0.01
a BLMPOP 0 2 m1 m2 LEFT COUNT 2 &
b BLMPOP 0 1 m2 RIGHT &
d RPUSH m2 a b c d e
a <
b <
d LRANGE m2 0 -1
d BLMPOP 0 2 m1 m2 RIGHT COUNT 10
a BZPOPMIN z 0 &
b BZPOPMAX z 0 &
c BZMPOP 0 2 z0 z MIN COUNT 2 &
d ZADD z 1 a 2 b 3 c 4 d 5 e
a <
b <
c <
d ZRANGE z 0 -1 WITHSCORES
d BZPOPMIN nokey z 0
d BZPOPMAX z 0.01
d BZMPOP 0.01 1 z MIN
";

/// Elements that move on, in chains and circles; a target of another type.
pub const MOVES: &str = "
a BLMOVE {t}s {t}d LEFT RIGHT 0 &
b BLPOP {t}d 0 &
d RPUSH {t}s one two
a <
b <
d LRANGE {t}s 0 -1
d LRANGE {t}d 0 -1
a BRPOPLPUSH {t}e {t}e 0 &
d RPUSH {t}e x
a <
d LRANGE {t}e 0 -1
a BLMOVE {t}1 {t}2 LEFT LEFT 0 &
b BLMOVE {t}2 {t}3 LEFT LEFT 0 &
c BLMOVE {t}3 {t}1 LEFT LEFT 0 &
d RPUSH {t}1 go
a <
b <
c <
d LRANGE {t}1 0 -1
d SET {t}str v
a BLMOVE {t}x {t}str LEFT LEFT 0 &
b BLPOP {t}x 0 &
d RPUSH {t}x e
a <
b <
";

/// Values of other types, at once and while somebody waits; values that come by other ways.
pub const TYPES: &str = "
a BLPOP w 0 &
b BZPOPMIN w 0 &
d SADD w m
d DEL w
d ZADD w 1 m
b <
d RPUSH w e
a <
d SET w x
a BLPOP w 0
a BLPOP nokey w 0
a BZPOPMIN nokey w 0
a BRPOPLPUSH w w2 0
a BLMPOP 0 1 w LEFT
d RPUSH w2 e
a BLPOP w2 w 0
b BLPOP exp 0 &
d RPUSH exptmp 1
d PEXPIRE exptmp 100000
d RENAME exptmp exp
b <
";

/// Times that are over, and those that are none.
pub const TIMES: &str = "
a BLPOP nokey 0.01
a BRPOP nokey 0.01
a BZPOPMIN nokey 0.01
a BLMPOP 0.01 1 nokey LEFT
a BLPOP nokey nokey2 nokey3 nokey4 0.02
a XREAD BLOCK 10 STREAMS nokey $
a XREAD BLOCK 10 STREAMS nokey nokey2 nokey3 $ $ $
a BLPOP nokey -1
a BLPOP nokey x
a BLPOP nokey inf
a BLPOP nokey -inf
a BLPOP nokey nan
a BLPOP nokey 9223372036854775807
a BLPOP nokey 1e300
a BLPOP nokey 0x1p-20
a BLPOP nokey 0.00001
a BLPOP nokey %
a BLMPOP x 1 k LEFT
a BLMPOP 0 0 k LEFT
a BLMPOP 0 5 k LEFT
a BLMPOP 0 1 k UP
a BLMPOP 0 1 k LEFT COUNT 0
a BLMPOP 0 1 k LEFT COUNT
a BLMPOP -1 1 k LEFT
a BZMPOP 0 0 k MIN
a BZMPOP 0 1 k UP
a BLMOVE {q}nokey {q}x LEFT LEFT x
a XREAD BLOCK x STREAMS k $
a XREAD BLOCK -1 STREAMS k $
";

/// Streams and their groups, which may go.
pub const STREAMS: &str = "
a XREAD BLOCK 0 STREAMS s $ &
b XREAD COUNT 1 BLOCK 0 STREAMS s2 s 0 0 &
d XADD s 1-1 f v
a <
b <
a XREAD BLOCK 0 STREAMS s 1-1 &
b XREAD BLOCK 0 STREAMS s 5-0 &
d XADD s 2-1 f v
a <
d XADD s 6-1 f v
b <
a XREAD BLOCK 10 STREAMS s s2 0 0
a XREAD COUNT 1 BLOCK 0 STREAMS s2 s 0 3-0
d XADD s2 7-1 a b
a XREAD COUNT 2 BLOCK 0 STREAMS s2 s 0 0
a XREAD COUNT 2 STREAMS s s2 s3 0 0 0
a XREAD STREAMS s s2 s3 9-0 9-0 0
a XREAD STREAMS s s2 s s2 $ 0 0 7-0
a XREAD STREAMS s2 s s2 s $ 0 0 9-0
d XGROUP CREATE s g $
d XGROUP CREATE s2 g $
a XREADGROUP GROUP g c1 BLOCK 0 STREAMS s > &
b XREADGROUP GROUP g c2 BLOCK 0 STREAMS s > &
c XREADGROUP GROUP g c3 BLOCK 0 NOACK STREAMS s2 s > > &
d XADD s 10-1 n 1
a <
d XADD s 10-2 n 2
b <
d XADD s 10-3 n 3
c <
d XPENDING s g
a XREADGROUP GROUP g c1 BLOCK 0 STREAMS s 0
a XREADGROUP GROUP g c1 BLOCK 0 STREAMS s > &
d XGROUP DESTROY s g
a <
a XREADGROUP GROUP g c1 BLOCK 0 STREAMS s2 > &
d DEL s2
a <
d XGROUP CREATE s2 g $ MKSTREAM
a XREADGROUP GROUP g c1 BLOCK 0 STREAMS s2 > &
d SET s2 x
a <
d DEL s2
d XGROUP CREATE s2 g $ MKSTREAM
a XREADGROUP GROUP g c1 BLOCK 0 STREAMS s2 > &
d FLUSHALL
a <
d XGROUP CREATE s2 g $ MKSTREAM
a XREADGROUP GROUP g c1 BLOCK 0 STREAMS s2 > &
d SELECT 5
d SWAPDB 0 1
a <
a BLPOP l 0 &
d SELECT 1
d RPUSH l from1
d SWAPDB 0 1
a <
a XREADGROUP GROUP nog c1 BLOCK 0 STREAMS s2 >
d SELECT 0
a XREAD BLOCK 0 STREAMS t $ &
d XADD t MAXLEN 0 1-1 f v
a <
a XREAD BLOCK 0 STREAMS t $ &
b XREAD BLOCK 0 STREAMS t 2-1 &
d PIPE MULTI | XADD t 2-1 f v | XADD t 2-2 f v | XDEL t 2-1 2-2 | EXEC
a <
b <
d XGROUP CREATE t g $
a XREADGROUP GROUP g c1 BLOCK 0 STREAMS t > &
b XREADGROUP GROUP g c2 BLOCK 0 NOACK STREAMS t > &
d XADD t MAXLEN 0 3-1 f v
a <
b <
d XINFO GROUPS t
d RENAME nokey x
a BLPOP ren 0 &
d RPUSH tmp v
d RENAME tmp ren
a <
a BLPOP cop 0 &
d RPUSH tmp v
d COPY tmp cop
a <
a BZPOPMIN zs 0 &
d SADD set1 m
d ZUNIONSTORE zs 1 set1
a <
a BZPOPMIN geo 0 &
d GEOADD geo 13 38 p
a <
";

/// Clients that are unblocked, closed or go.
pub const UNBLOCKED: &str = "
a BLPOP u 0 &
d CLIENT UNBLOCK $a
a <
a BLPOP u 0 &
d CLIENT UNBLOCK $a ERROR
a <
d CLIENT UNBLOCK $a
a BLPOP u u2 u3 u4 u5 0 &
d CLIENT UNBLOCK $a TIMEOUT
a <
d RPUSH u 1
d RPUSH u4 1
d LLEN u
d LLEN u4
d DEL u u4
b XREAD BLOCK 0 STREAMS st $ &
d CLIENT UNBLOCK $b ERROR
b <
a BLPOP kk 0 &
b BLPOP kk 0 &
d CLIENT KILL ID $a
d RPUSH kk v
b <
d LLEN kk
a returns
a BLPOP kk 0 &
b BLPOP kk 0 &
a closes
blocked 1
d RPUSH kk v
b <
d LLEN kk
a returns
";

/// What stands behind a command that waits.
pub const PIPELINES: &str = "
a PIPE BLPOP pp 0 | SET pk 1 | GET pk | BLPOP pp 0 | ECHO x &
d GET pk
d RPUSH pp 1
a <
a <
a <
d RPUSH pp 2
a <
a <
a PIPE ECHO 1 | RPUSH pp a b | BLPOP pp 0 | BLPOP pp2 pp 0 | ECHO 2
a <
a <
a <
a <
a <
";

/// The same in RESP3.
pub const RESP3: &str = "
a HELLO 3
a BLPOP r3 0 &
d RPUSH r3 x
a <
a BLPOP r3 0.01
a BZPOPMIN z3 0 &
d ZADD z3 1.5 m
a <
d ZADD z3 1.5 m 2 n
a BZMPOP 0 1 z3 MIN COUNT 5
a XREAD BLOCK 0 STREAMS x3 x4 $ $ &
d XADD x4 1-1 f v
a <
d XADD x3 1-1 f v
a XREAD BLOCK 0 STREAMS x3 x4 x5 0 0 0
a XREAD BLOCK 10 STREAMS x3 x4 $ $
d XGROUP CREATE x3 g $
a XREADGROUP GROUP g c BLOCK 10 STREAMS x3 >
a XREADGROUP GROUP g c BLOCK 0 STREAMS x3 > &
d XADD x3 2-1 f v
a <
d DEL dup
a BLPOP dup dup dup2 0 &
d RPUSH dup 1 2
a <
d LRANGE dup 0 -1
a BLPOP dup dup2 0
";

/// Moves from shard to shard, for servers that have one only.
pub const APART: &str = "
a BLMOVE nokey other LEFT LEFT 0.01
a BLMOVE nokey other UP LEFT 0
a BRPOPLPUSH nokey other 0.01
";

/// Transactions: nobody waits inside, nobody is served of a half.
pub const TRANSACTIONS: &str = "
a BLPOP tx 0 &
d MULTI
d RPUSH tx 1
d DEL tx
d EXEC
d LLEN tx
d MULTI
d RPUSH tx 1 2
d BLPOP nokey 0
d EXEC
a <
d MULTI
d BLPOP nokey nokey2 nokey3 0
d BLMOVE {m}a {m}b LEFT LEFT 0
d XREAD BLOCK 0 STREAMS s1 s2 s3 $ $ $
d BZPOPMIN nokey 0
d BLPOP nokey nokey2 tx 0
d BLMPOP 0 3 nokey nokey2 tx LEFT
d EXEC
a BLMPOP 0 3 {k}1 {k}2 {k}3 LEFT &
b BLPOP {k}2 0 &
d MULTI
d RPUSH {k}2 y
d RPUSH {k}1 x
d RPUSH {k}1 z
d RPUSH {k}2 w
d EXEC
a <
b <
d EXISTS {k}1 {k}2
";
