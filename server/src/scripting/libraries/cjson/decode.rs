//! JSON to values.
//!
//! Arrays and objects that are open lie on the interpreter's stack, so nothing here recurses.
//! Every error names the character, counted from 1.

use super::super::call::{Call, Fault, Outcome};
use super::Settings;
use super::lexer::{Lexer, Token};

type Decode<'call> = Call<'call, Settings>;

/// What is being read; its table is on the stack, an object's current key above it.
enum Open {
    Array { table: i32, index: i32 },
    Object { table: i32 },
}

pub(super) fn decode(call: &mut Decode<'_>) -> Outcome {
    if call.arguments() != 1 {
        return Err(Fault::argument(1, "expected 1 argument"));
    }
    let json = call.bytes(1)?;
    // The first two characters of JSON are ASCII, so zeros there tell wide characters.
    if let [first, second, ..] = json
        && (*first == 0 || *second == 0)
    {
        return Err(Fault::error("JSON parser does not support UTF-16 or UTF-32"));
    }
    let mut lexer = Lexer::new(json, call.shared.decode_invalid);
    read_value(call, &mut lexer)?;
    let token = lexer.next();
    if token != Token::End {
        return Err(unexpected(&lexer, token, "the end"));
    }
    Ok(1)
}

fn unexpected(lexer: &Lexer<'_>, token: Token, wanted: &str) -> Fault {
    Fault::error(format!(
        "Expected {wanted} but found {} at character {}",
        token.name(),
        lexer.start + 1
    ))
}

/// Reads one value and pushes it.
fn read_value(call: &mut Decode<'_>, lexer: &mut Lexer<'_>) -> Result<(), Fault> {
    let mut open: Vec<Open> = Vec::new();
    let mut token = lexer.next();
    loop {
        match token {
            Token::String => call.push_bytes(&lexer.text)?,
            Token::Number(number) => call.push_number(number)?,
            Token::Boolean(value) => call.push_boolean(value)?,
            Token::Null => call.push_null()?,
            Token::ObjectBegin => {
                descend(call, lexer, &open, 3)?;
                call.push_table()?;
                let table = call.top();
                token = lexer.next();
                if token != Token::ObjectEnd {
                    open.push(Open::Object { table });
                    token = read_key(call, lexer, token)?;
                    continue;
                }
            }
            Token::ArrayBegin => {
                descend(call, lexer, &open, 2)?;
                call.push_table()?;
                let table = call.top();
                token = lexer.next();
                if token != Token::ArrayEnd {
                    open.push(Open::Array { table, index: 1 });
                    continue;
                }
            }
            other => return Err(unexpected(lexer, other, "value")),
        }
        // A value is on top: it belongs to the innermost container, which may end by it.
        loop {
            match open.last_mut() {
                None => return Ok(()),
                Some(Open::Array { table, index }) => {
                    call.set_element(*table, *index)?;
                    match lexer.next() {
                        Token::ArrayEnd => {}
                        Token::Comma => {
                            // LIMIT: elements take two characters each and tables end before.
                            *index = index.wrapping_add(1);
                            token = lexer.next();
                            break;
                        }
                        other => return Err(unexpected(lexer, other, "comma or array end")),
                    }
                }
                Some(Open::Object { table }) => {
                    call.set_pair(*table)?;
                    match lexer.next() {
                        Token::ObjectEnd => {}
                        Token::Comma => {
                            token = lexer.next();
                            token = read_key(call, lexer, token)?;
                            break;
                        }
                        other => return Err(unexpected(lexer, other, "comma or object end")),
                    }
                }
            }
            open.pop();
        }
    }
}

/// Pushes the key that `token` is, reads the colon, and gives the token behind it.
fn read_key(call: &mut Decode<'_>, lexer: &mut Lexer<'_>, token: Token) -> Result<Token, Fault> {
    if token != Token::String {
        return Err(unexpected(lexer, token, "object key string"));
    }
    call.push_bytes(&lexer.text)?;
    match lexer.next() {
        Token::Colon => Ok(lexer.next()),
        other => Err(unexpected(lexer, other, "colon")),
    }
}

/// Admits one more level, which takes `slots` on the stack.
fn descend(
    call: &mut Decode<'_>,
    lexer: &Lexer<'_>,
    open: &[Open],
    slots: i32,
) -> Result<(), Fault> {
    let depth = open.len() + 1;
    if depth <= call.shared.decode_depth_max as usize && call.reserve(slots) {
        return Ok(());
    }
    Err(Fault::error(format!(
        "Found too many nested data structures ({depth}) at character {}",
        lexer.position()
    )))
}
