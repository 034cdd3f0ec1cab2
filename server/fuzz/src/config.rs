//! Any bytes are a configuration file or are refused with a line; what is accepted is rewritten so
//! that it means the same, and rewriting again changes nothing.

use quire_server::config::{Config, LiveConfig, Origin, read_text, rewritten};

fn load(text: &[u8]) -> Result<Config, String> {
    let lines = read_text(text, |line| Origin::File("quire.conf".into(), line));
    lines.and_then(|lines| Config::from_lines(&lines)).map_err(|error| error.to_string())
}

/// Takes any bytes.
///
/// # Panics
/// When a promise is broken.
pub fn any_bytes(text: &[u8]) {
    // It would read files of this machine.
    if text.to_ascii_lowercase().windows(7).any(|word| word == b"include") {
        return;
    }
    let mut config = match load(text) {
        Ok(config) => config,
        Err(error) => {
            assert!(error.contains("quire.conf:"), "the error says where: {error}");
            return;
        }
    };
    for all in [false, true] {
        let new = rewritten(text, &config, all);
        let again = load(&new).unwrap_or_else(|e| panic!("{e} in {}", new.escape_ascii()));
        assert_eq!(again, config, "{}", new.escape_ascii());
        // As in Redis the end of the last line counts as an empty line, once.
        let twice = rewritten(&new, &config, all);
        let thrice = rewritten(&twice, &config, all);
        assert_eq!(thrice.escape_ascii().to_string(), twice.escape_ascii().to_string());
    }
    if config.resolve(4).is_err() {
        return;
    }
    // What CONFIG GET shows CONFIG SET takes, and then it shows the same.
    let live = LiveConfig::new(config);
    let shown = || live.get([b"*".as_slice()].into_iter());
    let before = shown();
    for (name, value) in &before {
        let pairs = [(name.as_slice(), value.as_slice())];
        if let Err(error) = live.set(&pairs, true, |_, _| Ok(())) {
            let text = error.to_string();
            assert!(text.contains("immutable"), "{text}: {}", value.escape_ascii());
        }
        assert_eq!(shown(), before, "{} {}", name.escape_ascii(), value.escape_ascii());
    }
}
