//! Rows about the process: who supervises it, its title, its log, its end.

use super::super::{
    Allowed, Kind, LogFormat, LogLevel, OomScoreAdj, ShutdownOptions, Supervised, SyslogFacility,
    cpus, process::parse_oom_values, title,
};
use super::{
    Directive,
    When::{Anytime, Startup},
    any_text, row,
};

fn cpu_list(text: &str) -> Result<(), &'static str> {
    if text.is_empty() || cpus::parse(text).is_some() {
        Ok(())
    } else {
        Err("argument must be a list of CPUs such as 0,2-7 or 0-15:2")
    }
}

pub(super) static PROCESS: &[Directive] = &[
    choice!(
        "supervised",
        Startup,
        Supervised,
        supervised,
        "Tell systemd when the server is ready, reloading and stopping: systemd, auto (if there \
         is NOTIFY_SOCKET) or no."
    ),
    text!(
        "pidfile",
        Startup,
        any_text,
        pidfile,
        "File to hold the process id while the server runs; empty = none."
    ),
    bool!(
        "always-show-logo",
        Startup,
        always_show_logo,
        "Print the logo at start even where the log is no terminal."
    ),
    bool!(
        "set-proc-title",
        Startup,
        set_proc_title,
        "Have ps and top show what `proc-title-template` says."
    ),
    text!(
        "proc-title-template",
        Anytime,
        title::check,
        proc_title_template,
        "Title of the process; {title}, {listen-addr}, {server-mode}, {port}, {tls-port}, \
         {unixsocket} and {config-file} are replaced."
    ),
    choice!(
        "oom-score-adj",
        Anytime,
        OomScoreAdj,
        oom_score_adj,
        "Tell the kernel how gladly it may kill this process when memory runs out: no, relative \
         (yes), absolute."
    ),
    row(
        "oom-score-adj-values",
        Anytime,
        Kind::Words {
            get: |c| c.oom_score_adj_values.map(|v| v.to_string()).join(" "),
            set: |c, words, _| parse_oom_values(words).map(|v| c.oom_score_adj_values = v),
        },
        "What `oom-score-adj` tells it: the first of the three; the others are for replicas and \
         children, of which there are none.",
    ),
    bool!(
        "disable-thp",
        Startup,
        disable_thp,
        "Keep transparent huge pages away from this process. Quire never forks, so they cost it \
         nothing but memory."
    ),
    text!(
        "server_cpulist",
        Startup,
        cpu_list,
        server_cpulist,
        "CPUs that shards are pinned to, as in 0,2-7 or 0-15:2; empty = those of the affinity \
         mask."
    ),
    text!(
        "bio_cpulist",
        Startup,
        cpu_list,
        bio_cpulist,
        "CPUs that the threads beside the shards may use; empty = all."
    ),
    row(
        "shutdown-on-sigint",
        Anytime,
        Kind::Words {
            get: |c| c.shutdown_on_sigint.show(),
            set: |c, words, _| ShutdownOptions::parse(words).map(|v| c.shutdown_on_sigint = v),
        },
        "How SIGINT ends the server: default, or of nosave, now, force. force ends with 0 although \
         the log has failed.",
    ),
    row(
        "shutdown-on-sigterm",
        Anytime,
        Kind::Words {
            get: |c| c.shutdown_on_sigterm.show(),
            set: |c, words, _| ShutdownOptions::parse(words).map(|v| c.shutdown_on_sigterm = v),
        },
        "The same for SIGTERM.",
    ),
];

pub(super) static LOG: &[Directive] = &[
    choice!("loglevel", Anytime, LogLevel, loglevel, "How much is logged."),
    text!(
        "logfile",
        Startup,
        any_text,
        logfile,
        "Where to log; empty = standard output. Opened for every line, so it may be renamed away."
    ),
    choice!(
        "log-format",
        Anytime,
        LogFormat,
        log_format,
        "Lines as Redis writes them (text), or one JSON object a line (json)."
    ),
    bool!("syslog-enabled", Startup, syslog_enabled, "Send the log to syslog too."),
    text!("syslog-ident", Startup, any_text, syslog_ident, "The program's name in syslog."),
    choice!(
        "syslog-facility",
        Startup,
        SyslogFacility,
        syslog_facility,
        "The facility in syslog: user, or local0 to local7."
    ),
    bool!(
        "crash-log-enabled",
        Anytime,
        crash_log_enabled,
        "Log where the program was when it crashed."
    ),
];

pub(super) static ACCESS: &[Directive] = &[
    choice!(
        "enable-protected-configs",
        Startup,
        Allowed,
        enable_protected_configs,
        "Who may change protected directives (`dir`) by CONFIG SET: nobody, everybody, or clients \
         on this machine."
    ),
    choice!(
        "enable-debug-command",
        Startup,
        Allowed,
        enable_debug_command,
        "Who may use DEBUG: nobody, everybody, or clients on this machine."
    ),
];
