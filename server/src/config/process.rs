//! Values of the directives about the process and its log: who supervises it, what it leaves
//! behind, how signals end it.

/// A set of names, for directives with a fixed choice.
macro_rules! choices {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
            /// Their names in the configuration, in the order of [`Self::ALL`].
            pub const NAMES: &[&str] = &[$($text,)*];
        }
    };
}

choices! {
    /// How much is logged.
    LogLevel {
        /// Everything.
        Debug = "debug",
        /// Much.
        Verbose = "verbose",
        /// What an operator wants to know.
        Notice = "notice",
        /// What an operator must know.
        Warning = "warning",
    }
}

choices! {
    /// How lines of the log look.
    LogFormat {
        /// As Redis writes them, with the thread.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

choices! {
    /// Whose word syslog takes for what the lines are.
    SyslogFacility {
        /// A user's program.
        User = "user",
        /// Of local use.
        Local0 = "local0",
        /// Of local use.
        Local1 = "local1",
        /// Of local use.
        Local2 = "local2",
        /// Of local use.
        Local3 = "local3",
        /// Of local use.
        Local4 = "local4",
        /// Of local use.
        Local5 = "local5",
        /// Of local use.
        Local6 = "local6",
        /// Of local use.
        Local7 = "local7",
    }
}

choices! {
    /// Who is told that the server is ready or stops.
    Supervised {
        /// Upstart, which nobody runs any more: refused.
        Upstart = "upstart",
        /// systemd, by NOTIFY_SOCKET.
        Systemd = "systemd",
        /// systemd if it is there.
        Auto = "auto",
        /// Nobody.
        No = "no",
    }
}

choices! {
    /// Who may do something dangerous.
    Allowed {
        /// Nobody.
        No = "no",
        /// Everybody.
        Yes = "yes",
        /// Clients on this machine.
        Local = "local",
    }
}

choices! {
    /// Whether the kernel is told how gladly it may kill this process when memory runs out.
    OomScoreAdj {
        /// It is not.
        No = "no",
        /// The same as relative.
        Yes = "yes",
        /// By adding to what the process started with.
        Relative = "relative",
        /// By a plain value.
        Absolute = "absolute",
    }
}

/// How a signal ends the server: SHUTDOWN's options.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ShutdownOptions {
    /// Write an RDB file although there are no save points.
    pub save: bool,
    /// Write none although there are.
    pub nosave: bool,
    /// Wait for no replica: there is none.
    pub now: bool,
    /// End with 0 although the log has failed.
    pub force: bool,
}

impl ShutdownOptions {
    /// From the words of the directive.
    ///
    /// # Errors
    /// Redis' text.
    pub(super) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        for word in words {
            match word.to_ascii_lowercase().as_str() {
                "default" => {}
                "save" => options.save = true,
                "nosave" => options.nosave = true,
                "now" => options.now = true,
                "force" => options.force = true,
                _ => {
                    return Err(
                        "argument(s) must be one of the following: default, save, nosave, \
                                now, force"
                            .to_owned(),
                    );
                }
            }
        }
        if options.save && options.nosave {
            return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".to_owned());
        }
        Ok(options)
    }

    /// Whether it says anything about saving.
    pub fn save(self) -> Option<bool> {
        if self.save { Some(true) } else { self.nosave.then_some(false) }
    }

    /// As CONFIG GET shows it.
    pub(super) fn show(self) -> String {
        let named = [
            (self.save, "save"),
            (self.nosave, "nosave"),
            (self.now, "now"),
            (self.force, "force"),
        ];
        let words: Vec<&str> =
            named.into_iter().filter(|(is_set, _)| *is_set).map(|(_, word)| word).collect();
        if words.is_empty() { "default".to_owned() } else { words.join(" ") }
    }
}

/// Scores of `oom-score-adj-values` for a primary, a replica, a background child.
pub(super) fn parse_oom_values(words: &[&str]) -> Result<[i32; 3], String> {
    let [a, b, c] = words else { return Err("wrong number of arguments".to_owned()) };
    let number = |word: &str| {
        word.parse::<i32>().ok().filter(|v| (-2000..=2000).contains(v)).ok_or_else(|| {
            "Invalid oom-score-adj-values, elements must be between -2000 and 2000.".to_owned()
        })
    };
    Ok([number(a)?, number(b)?, number(c)?])
}
