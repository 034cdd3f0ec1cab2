//! Arguments that nobody but the server may read: passwords. MONITOR and the slow log show
//! `(redacted)` instead.

use super::table;
use quire_engine::command::Args;

/// Directives whose values are secrets.
const SECRET_DIRECTIVES: [&[u8]; 3] = [b"requirepass", b"masterauth", b"masteruser"];

/// Positions of the arguments to hide.
pub fn hidden(args: Args<'_>) -> Vec<usize> {
    // By its own name, whatever clients call it.
    let name = table::own_name(args.get(0)).unwrap_or_default();
    let is = |word: &[u8]| name.eq_ignore_ascii_case(word);
    let sub_is = |word: &[u8]| args.try_get(1).is_some_and(|sub| sub.eq_ignore_ascii_case(word));
    if is(b"auth") {
        // More arguments than AUTH takes are nobody's password.
        (1..args.len()).filter(|_| args.len() <= 3).collect()
    } else if is(b"hello") {
        credentials_of_hello(args)
    } else if is(b"config") && sub_is(b"set") {
        let is_secret = |at: &usize| {
            let directive = args.get(at - 1);
            SECRET_DIRECTIVES.iter().any(|secret| secret.eq_ignore_ascii_case(directive))
        };
        (3..args.len()).step_by(2).filter(is_secret).collect()
    } else if is(b"acl") && sub_is(b"setuser") {
        (2..args.len()).collect()
    } else {
        Vec::new()
    }
}

fn credentials_of_hello(args: Args<'_>) -> Vec<usize> {
    let mut hidden = Vec::new();
    let mut at = 2;
    while let Some(option) = args.try_get(at) {
        if option.eq_ignore_ascii_case(b"auth") {
            hidden.extend([at + 1, at + 2]);
            at += 3;
        } else {
            at += 2;
        }
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;
    use quire_engine::command::OwnedArgs;

    #[test]
    fn passwords_are_hidden_and_nothing_else() {
        for (line, expected) in [
            ("AUTH secret", &[1][..]),
            ("auth user secret", &[1, 2]),
            ("auth a b c", &[]),
            ("hello 3 setname AUTH auth user secret", &[5, 6]),
            ("hello 3 AUTH user secret setname x", &[3, 4]),
            ("hello", &[]),
            ("config set RequirePass x timeout 3 masterauth y", &[3, 7]),
            ("config get requirepass", &[]),
            ("acl setuser alice >pw on", &[2, 3, 4]),
            ("set auth secret", &[]),
        ] {
            let args = OwnedArgs::from_slices(&line.split(' ').collect::<Vec<_>>());
            assert_eq!(hidden(args.as_args()), expected, "{line}");
        }
    }
}
