//! What stock Redis 7.0.15 answered to these expressions, and what hostile ones may not do.

use mlua::{Lua, LuaOptions, StdLib};

fn lua() -> Lua {
    let options = LuaOptions::new().catch_rust_panics(false);
    let lua = Lua::new_with(StdLib::ALL_SAFE, options).unwrap();
    super::install(&lua).unwrap();
    lua.load(
        r"function hex(s) return (s:gsub('.', function(c) return ('%02x'):format(c:byte()) end)) end
          function texts(...)
              local out = {}
              for i = 1, select('#', ...) do out[i] = tostring((select(i, ...))) end
              return table.concat(out, ' ')
          end",
    )
    .exec()
    .unwrap();
    lua
}

fn check(facts: &[(&str, &str)]) {
    let lua = lua();
    for (expression, answer) in facts {
        let source = format!("return texts({expression})");
        let chunk = lua.load(source).set_name("@user_script");
        let got: mlua::LuaString = chunk.eval().unwrap();
        assert_eq!(got.to_string_lossy(), *answer, "{expression}");
    }
}

#[test]
fn bit_operations_are_on_thirty_two_signed_bits() {
    check(&[
        ("bit.tobit(2^32 + 5)", "5"),
        ("bit.tobit(2^31)", "-2147483648"),
        ("bit.bnot(0)", "-1"),
        ("bit.bor(1, 2, 4, 8, 16, 32, 64, 128)", "255"),
        ("bit.lshift(1, 33)", "2"),
        ("bit.arshift(-256, 4)", "-16"),
        ("bit.rshift(-256, 4)", "268435440"),
        ("bit.rol(0x12345678, 12)", "1164411171"),
        ("bit.bswap(0x12345678)", "2018915346"),
        ("bit.tohex(65535, -2147483648)", "0000FFFF"),
        ("bit.tohex(255, 4)", "00ff"),
        (
            "pcall(bit.band, 1, 'a', {})",
            "false bad argument #3 to '?' (number expected, got table)",
        ),
    ]);
}

#[test]
fn structs_have_the_layout_of_c() {
    check(&[
        ("hex(struct.pack('>I2<i4', 258, -2))", "0102feffffff"),
        ("hex(struct.pack('!4bi', 1, 2))", "0100000002000000"),
        ("hex(struct.pack('sc2', 'ab', 'xyz'))", "6162007879"),
        ("hex(struct.pack('i16', -3))", "fdffffffffffffff0000000000000000"),
        ("struct.unpack('Bc0', '\\3abc')", "abc 5"),
        ("struct.unpack('>i9', '\\30\\80\\169\\180\\168\\19\\53\\191\\109')", "-19 10"),
        ("struct.size('i!8d')", "16"),
        ("pcall(struct.pack, 'i33', 3)", "false integral size 33 is larger than limit of 32"),
        ("pcall(struct.pack, 'i99999999999', 3)", "false integral size overflow"),
        ("pcall(struct.pack, 's')", "false bad argument #2 to '?' (string expected, got nil)"),
        (
            "pcall(struct.unpack, 'i', 'abc', -1)",
            "false bad argument #2 to '?' (data string too short)",
        ),
        (
            "pcall(struct.unpack, 'i', 'abcd', 0)",
            "false bad argument #3 to '?' (offset must be 1 or greater)",
        ),
        ("pcall(struct.unpack, 'c0', 'abc')", "false format 'c0' needs a previous size"),
    ]);
}

#[test]
fn messages_are_packed_in_their_shortest_form() {
    check(&[
        ("hex(cmsgpack.pack(1, -33, 300, 2^40))", "01d0dfcd012ccf0000010000000000"),
        ("hex(cmsgpack.pack(0.5, 0.1))", "ca3f000000cb3fb999999999999a"),
        ("hex(cmsgpack.pack({}, {1, 2}, {a = 1}))", "9092010281a16101"),
        ("hex(cmsgpack.pack(('x'):rep(32))):sub(1, 6)", "d92078"),
        ("hex(cmsgpack.pack(tostring, nil, true))", "c0c0c3"),
        ("cmsgpack.unpack('\\1\\161a\\192')", "1 a nil"),
        ("cmsgpack.unpack_one('\\1\\2', 1)", "-1 2"),
        ("cmsgpack.unpack_limit('\\1\\2\\3', 2)", "2 1 2"),
        ("pcall(cmsgpack.unpack, '\\146\\1')", "false Missing bytes in input."),
        ("pcall(cmsgpack.unpack, '\\196\\1a')", "false Bad data format in input."),
        ("pcall(cmsgpack.unpack, '\\129\\192\\1')", "false table index is nil"),
        (
            "pcall(cmsgpack.unpack_one, 'abc', 4)",
            "false Start offset 4 greater than input length 3.",
        ),
    ]);
}

#[test]
fn json_is_written_as_stock_writes_it() {
    check(&[
        ("cjson.encode({1, 2, {a = 'x/y'}})", r#"[1,2,{"a":"x\/y"}]"#),
        ("cjson.encode({})", "{}"),
        ("cjson.encode({[1] = 1, [3] = 3})", "[1,null,3]"),
        ("cjson.encode({[1.5] = 1})", r#"{"1.5":1}"#),
        ("cjson.encode({cjson.null, 0.1, 1e15, -0})", "[null,0.1,1e+15,-0]"),
        ("cjson.encode('\\127\\1\\n')", r#""\u007f\u0001\n""#),
        (
            "pcall(cjson.encode, {[1] = 1, [30] = 2})",
            "false Cannot serialise table: excessively sparse array",
        ),
        ("pcall(cjson.encode, 1 / 0)", "false Cannot serialise number: must not be NaN or Inf"),
        (
            "pcall(cjson.encode, {[true] = 1})",
            "false Cannot serialise boolean: table key must be a number or string",
        ),
    ]);
}

#[test]
fn json_errors_name_the_character() {
    check(&[
        ("#cjson.decode('[1, 2, 3]')", "3"),
        (
            "cjson.decode('{\"a\": {\"b\": \"\\\\u00e9\\\\ud83d\\\\ude00\"}}').a.b",
            "\u{e9}\u{1f600}",
        ),
        ("cjson.decode('[null]')[1] == cjson.null", "true"),
        ("cjson.decode('0x1p4'), cjson.decode('+1')", "16 1"),
        (
            "pcall(cjson.decode, '[1')",
            "false Expected comma or array end but found T_END at character 3",
        ),
        (
            "pcall(cjson.decode, '\"\\\\ud800\"')",
            "false Expected value but found invalid unicode escape code at character 2",
        ),
        ("pcall(cjson.decode, 'a\\0')", "false JSON parser does not support UTF-16 or UTF-32"),
        (
            "pcall(cjson.decode, ('['):rep(1001))",
            "false Found too many nested data structures (1001) at character 1001",
        ),
        (
            "pcall(function() return cjson.decode('x') end)",
            "false user_script:1: Expected value but found invalid token at character 1",
        ),
    ]);
}

#[test]
fn settings_belong_to_a_table_and_act() {
    check(&[
        (
            "cjson.encode_max_depth(), cjson.encode_max_depth(2), cjson.encode_max_depth()",
            "1000 2 2",
        ),
        ("pcall(cjson.encode, {{{}}})", "false Cannot serialise, excessive nesting (3)"),
        ("cjson.new().encode({{{}}})", "[[{}]]"),
        ("cjson.encode_invalid_numbers('null'), cjson.encode(0 / 0)", "null null"),
        ("cjson.encode_number_precision(3), cjson.encode(1 / 3)", "3 0.333"),
        ("cjson.encode_sparse_array(true, 2, 3)", "true 2 3"),
        ("cjson.encode({[9] = 1})", r#"{"9":1}"#),
        ("cjson.decode_invalid_numbers(false)", "false"),
        (
            "pcall(cjson.decode, '01')",
            "false Expected value but found invalid number at character 1",
        ),
        (
            "pcall(cjson.encode_number_precision, 17)",
            "false bad argument #1 to '?' (expected integer between 1 and 14)",
        ),
    ]);
}

#[test]
fn depth_of_hostile_input_is_the_interpreters_limit_and_not_this_threads_stack() {
    let small_stack = std::thread::Builder::new().stack_size(256 << 10);
    let run = || {
        check(&[
            (
                "cjson.decode_max_depth(2^30), pcall(cjson.decode, ('['):rep(100000))",
                "1073741824 false Found too many nested data structures (7999) at character 7999",
            ),
            (
                "pcall(cmsgpack.unpack, ('\\145'):rep(100000))",
                "false stack overflow (in function mp_decode_to_lua_array)",
            ),
            (
                "(function() local t = {} for i = 1, 20000 do t = {t} end
                  cjson.encode_max_depth(2^30) return select(2, pcall(cjson.encode, t)) end)()",
                "Cannot serialise, excessive nesting (7998)",
            ),
            ("#(function() local t = {} t[1] = t return cmsgpack.pack(t) end)()", "17"),
        ]);
    };
    small_stack.spawn(run).unwrap().join().unwrap();
}

#[test]
fn lengths_that_lie_cost_nothing() {
    check(&[
        ("pcall(cmsgpack.unpack, '\\221\\255\\255\\255\\255')", "false Missing bytes in input."),
        ("pcall(cmsgpack.unpack, '\\219\\255\\255\\255\\255')", "false Missing bytes in input."),
        (
            "pcall(struct.unpack, 'c2147483647', 'x')",
            "false bad argument #2 to '?' (data string too short)",
        ),
    ]);
}
