//! `proc-title-template`: what the title of the process says.

/// What the variables of a template stand for.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// How the program was called.
    pub title: &'a str,
    /// First address of `bind`, if any.
    pub address: Option<&'a str>,
    /// TCP port, 0 = none.
    pub port: u16,
    /// Path of the unix socket, or nothing.
    pub unixsocket: &'a str,
    /// The configuration file, if there is one.
    pub config_file: Option<&'a str>,
}

/// Accepts templates that expand to something.
pub(super) fn check(template: &str) -> Result<(), &'static str> {
    let facts = Facts { title: "", address: None, port: 1, unixsocket: "", config_file: None };
    match expand(template, facts) {
        Some(title) if !title.is_empty() => Ok(()),
        _ => Err("template format is invalid or contains unknown variables"),
    }
}

/// The title; `None` for an unknown variable or a brace that does not close. `{{` is a brace.
pub fn expand(template: &str, facts: Facts<'_>) -> Option<String> {
    let mut title = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        title.push_str(before);
        if let Some(after) = after.strip_prefix('{') {
            title.push('{');
            rest = after;
            continue;
        }
        let (name, after) = after.split_once('}')?;
        match name {
            "title" => title.push_str(facts.title),
            "listen-addr" if facts.port != 0 => {
                title.push_str(&format!("{}:{}", facts.address.unwrap_or("*"), facts.port));
            }
            "listen-addr" => title.push_str(&format!("unixsocket:{}", facts.unixsocket)),
            // Neither a cluster's node nor a sentinel.
            "server-mode" => {}
            "config-file" => title.push_str(facts.config_file.unwrap_or("-")),
            "port" => title.push_str(&facts.port.to_string()),
            "tls-port" => title.push('0'),
            "unixsocket" => title.push_str(facts.unixsocket),
            _ => return None,
        }
        rest = after;
    }
    title.push_str(rest);
    Some(title.trim_matches(' ').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_expand_as_in_redis() {
        let facts = Facts {
            title: "./quire-server",
            address: Some("127.0.0.1"),
            port: 7000,
            unixsocket: "/run/q",
            config_file: None,
        };
        let expand = |template| expand(template, facts);
        assert_eq!(
            expand("{title} {listen-addr} {server-mode}").as_deref(),
            Some("./quire-server 127.0.0.1:7000")
        );
        assert_eq!(expand("{{x {port}").as_deref(), Some("{x 7000"));
        assert_eq!(expand("{config-file}{tls-port}").as_deref(), Some("-0"));
        assert_eq!(expand("{nothing}"), None);
        assert_eq!(expand("{title"), None);
        let quiet = Facts { port: 0, ..facts };
        assert_eq!(super::expand("{listen-addr}", quiet).as_deref(), Some("unixsocket:/run/q"));
        assert!(check("{server-mode}").is_err() && check("quire").is_ok() && check("").is_err());
    }
}
