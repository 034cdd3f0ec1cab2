//! JSON text to tokens.
//!
//! A zero byte ends the text, wherever it stands. Errors are tokens, because what was expected
//! instead is known only to whoever asked.

use super::super::numbers;

/// What stands next in a text.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Token {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    /// Its bytes are in [`Lexer::text`].
    String,
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl Token {
    /// What error texts call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::ObjectBegin => "T_OBJ_BEGIN",
            Self::ObjectEnd => "T_OBJ_END",
            Self::ArrayBegin => "T_ARR_BEGIN",
            Self::ArrayEnd => "T_ARR_END",
            Self::String => "T_STRING",
            Self::Number(_) => "T_NUMBER",
            Self::Boolean(_) => "T_BOOLEAN",
            Self::Null => "T_NULL",
            Self::Colon => "T_COLON",
            Self::Comma => "T_COMMA",
            Self::End => "T_END",
            Self::Error(text) => text,
        }
    }
}

/// A text that is being read.
pub(super) struct Lexer<'json> {
    json: &'json [u8],
    position: usize,
    /// Where the token that was read last begins, or where its error is.
    pub(super) start: usize,
    /// Read what JSON does not have: hexadecimal numbers, infinities, leading zeros and signs.
    lenient: bool,
    /// The bytes of the string that was read last.
    pub(super) text: Vec<u8>,
}

impl<'json> Lexer<'json> {
    pub(super) fn new(json: &'json [u8], lenient: bool) -> Self {
        Self { json, position: 0, start: 0, lenient, text: Vec::new() }
    }

    /// Bytes that have been read.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// The byte `ahead` of the position; 0 at the end.
    fn byte(&self, ahead: usize) -> u8 {
        self.json.get(self.position + ahead).copied().unwrap_or(0)
    }

    fn rest(&self) -> &'json [u8] {
        self.json.get(self.position..).unwrap_or_default()
    }

    pub(super) fn next(&mut self) -> Token {
        while matches!(self.byte(0), b' ' | b'\t' | b'\n' | b'\r') {
            self.position += 1;
        }
        self.start = self.position;
        let token = match self.byte(0) {
            b'{' => Token::ObjectBegin,
            b'}' => Token::ObjectEnd,
            b'[' => Token::ArrayBegin,
            b']' => Token::ArrayEnd,
            b':' => Token::Colon,
            b',' => Token::Comma,
            0 => return Token::End,
            b'"' => return self.string(),
            b'-' | b'0'..=b'9' => {
                return if !self.lenient && self.is_unusual() {
                    Token::Error("invalid number")
                } else {
                    self.number()
                };
            }
            _ => return self.word(),
        };
        self.position += 1;
        token
    }

    fn word(&mut self) -> Token {
        let words = [
            (&b"true"[..], Token::Boolean(true)),
            (b"false", Token::Boolean(false)),
            (b"null", Token::Null),
        ];
        for (word, token) in words {
            if self.rest().starts_with(word) {
                self.position += word.len();
                return token;
            }
        }
        if self.lenient
            && matches!(self.byte(0), b'+' | b'i' | b'I' | b'n' | b'N')
            && self.is_unusual()
        {
            return self.number();
        }
        Token::Error("invalid token")
    }

    /// Whether what stands here is a number to C and not to JSON.
    fn is_unusual(&self) -> bool {
        let sign = usize::from(self.byte(0) == b'-');
        match self.byte(sign) {
            b'+' => sign == 0,
            b'0' => matches!(self.byte(sign + 1), b'x' | b'X' | b'0'..=b'9'),
            0..=b'9' => false,
            _ => {
                let word = self.rest().get(sign..sign + 3).unwrap_or_default();
                word.eq_ignore_ascii_case(b"inf") || word.eq_ignore_ascii_case(b"nan")
            }
        }
    }

    fn number(&mut self) -> Token {
        match numbers::parse_prefix(self.rest()) {
            Some((number, length)) => {
                self.position += length;
                Token::Number(number)
            }
            None => Token::Error("invalid number"),
        }
    }

    fn string(&mut self) -> Token {
        self.position += 1;
        self.text.clear();
        loop {
            let rest = self.rest();
            let plain =
                rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0)).unwrap_or(rest.len());
            self.text.extend_from_slice(&rest[..plain]);
            self.position += plain;
            match self.byte(0) {
                b'"' => {
                    self.position += 1;
                    return Token::String;
                }
                b'\\' => {
                    if let Err(text) = self.escape() {
                        self.start = self.position;
                        return Token::Error(text);
                    }
                }
                _ => {
                    self.start = self.position;
                    return Token::Error("unexpected end of string");
                }
            }
        }
    }

    fn escape(&mut self) -> Result<(), &'static str> {
        let byte = match self.byte(1) {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 0x08,
            b't' => b'\t',
            b'n' => b'\n',
            b'f' => 0x0c,
            b'r' => b'\r',
            b'u' => return self.unicode().ok_or("invalid unicode escape code"),
            _ => return Err("invalid escape code"),
        };
        self.text.push(byte);
        self.position += 2;
        Ok(())
    }

    /// Four hexadecimal digits `ahead` of the position.
    fn unit(&self, ahead: usize) -> Option<u32> {
        let digits = self.rest().get(ahead..ahead + 4)?;
        digits.iter().try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?))
    }

    /// A code point, or a pair of surrogates, as UTF-8.
    fn unicode(&mut self) -> Option<()> {
        let mut point = self.unit(2)?;
        let mut length = 6;
        if point & 0xf800 == 0xd800 {
            if point & 0x400 != 0 || self.byte(6) != b'\\' || self.byte(7) != b'u' {
                return None;
            }
            let low = self.unit(8)?;
            if low & 0xfc00 != 0xdc00 {
                return None;
            }
            point = 0x1_0000 + ((point & 0x3ff) << 10 | low & 0x3ff);
            length = 12;
        }
        let character = char::from_u32(point)?;
        let mut bytes = [0; 4];
        let encoded = character.encode_utf8(&mut bytes);
        self.text.extend_from_slice(encoded.as_bytes());
        self.position += length;
        Some(())
    }
}
