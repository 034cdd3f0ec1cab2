//! One run of `quire-check`: lock, look, load, repair, say, exit.

use super::{
    Action, Arguments,
    aside::{default_aside, make_aside, write_report},
    contents, document, export, human,
    progress::Bar,
    snapshot,
    target::{Target, target},
};
use clap::Parser;
use quire_engine::{
    io::system::{SystemStorage, run_ready},
    keyspace::{KeyHasher, Keyspace, Tracking},
    manifest::{DirectoryLock, Names},
    recovery::{
        Options, Progress, RecoveryError, Team,
        check::{
            Checked, Loaded, Refused, Repair, Report, State, carry_out, check, load, set_aside,
        },
    },
    types::Limits,
};
use std::{
    ffi::OsString,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

/// Exit code of a run that has checked nothing.
const NOT_CHECKED: u8 = 3;
/// More threads than this read no faster.
const THREADS_MAX: usize = 8;

/// A repair that was carried out.
#[derive(Debug)]
pub struct Done {
    /// Where the copies are.
    pub aside: PathBuf,
    /// What was done.
    pub repair: Repair,
}

/// What a run found and did.
#[derive(Debug)]
pub struct Outcome {
    /// The log directory.
    pub directory: PathBuf,
    /// The state it is in now.
    pub report: Report,
    /// What loading gave, where it was asked for.
    pub loaded: Option<Loaded>,
    /// The state before the repair.
    pub before: Option<State>,
    /// The repair.
    pub repair: Option<Done>,
    /// Why there was none.
    pub refusal: Option<String>,
}

impl Outcome {
    /// The process' exit code.
    pub fn exit_code(&self) -> u8 {
        match self.report.state() {
            State::Clean | State::Open => 0,
            State::Torn => 1,
            State::Damaged => 2,
        }
    }
}

/// Runs the program; its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nobody is left to be told when this fails.
            let _ = error.print();
            return if error.use_stderr() { NOT_CHECKED } else { 0 };
        }
    };
    match run(&arguments) {
        Ok(code) => code,
        Err(text) => {
            let _ = writeln!(std::io::stderr(), "quire-check: {text}");
            NOT_CHECKED
        }
    }
}

/// What every step needs.
struct Place {
    target: Target,
    threads: usize,
    /// Held to the end, so that no server starts meanwhile.
    _lock: Option<DirectoryLock>,
}

fn run(arguments: &Arguments) -> Result<u8, String> {
    let usable = || thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let threads = arguments.threads.map_or_else(usable, usize::from);
    if let Some(Action::Export { from, to, appendfilename, databases }) = &arguments.action {
        let of = Arguments {
            path: Some(from.clone()),
            appendfilename: appendfilename.clone(),
            databases: Some(*databases),
            action: None,
            ..arguments.clone()
        };
        return export_all(&of, from, to, threads);
    }
    if let Some(path) = arguments.path.as_deref().filter(|path| is_snapshot(path)) {
        let options = options(threads, arguments.databases.unwrap_or(16) as usize);
        return snapshot::check(arguments, path, threads, &options);
    }
    let target = target(arguments)?;
    let lock = if arguments.fix {
        DirectoryLock::acquire(&target.directory).map(Some)
    } else {
        DirectoryLock::observe(&target.directory)
    };
    // What a running server is just writing would look torn.
    let lock = lock.map_err(|error| error.to_string())?;
    let place = Place { target, threads, _lock: lock };
    if let Some(file) = &arguments.dump {
        let Target { directory, names, .. } = &place.target;
        return contents::print(directory, names, file, arguments.commands, arguments.json)
            .map(|()| 0);
    }
    let checked = place.check()?;
    let mut outcome = Outcome {
        directory: place.target.directory.clone(),
        report: checked.report.clone(),
        loaded: None,
        before: None,
        repair: None,
        refusal: None,
    };
    let mut checked = checked;
    if let Some(second) = arguments.truncate_to_timestamp {
        let (storage, names) = (place.storage(), &place.target.names);
        checked = run_ready(checked.until(&storage, names, second)).map_err(|e| e.to_string())?;
        outcome.report = checked.report.clone();
    }
    if arguments.fix {
        match place.fix(arguments, &checked, &outcome)? {
            Fixed::Done(done) => {
                outcome.before = Some(outcome.report.state());
                outcome.repair = Some(done);
                checked = place.check()?;
                outcome.report = checked.report.clone();
            }
            Fixed::Refused(text) => outcome.refusal = Some(text),
        }
    }
    if arguments.load && outcome.report.state() != State::Damaged {
        match place.load(&checked) {
            Ok((loaded, _)) => outcome.loaded = Some(loaded),
            Err(error) => outcome.report.refuse(&error),
        }
    }
    let text = if arguments.json {
        format!("{}\n", document::document(&outcome))
    } else {
        human::text(&outcome)
    };
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(outcome.exit_code())
}

/// True for a file that is no manifest.
fn is_snapshot(path: &Path) -> bool {
    path.is_file() && path.extension().is_none_or(|extension| extension != "manifest")
}

/// How a server of so many shards and databases would load.
fn options(shards: usize, databases: usize) -> Options {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Options {
        names: Names::default(),
        shards,
        databases,
        hasher: KeyHasher::random(),
        limits: Limits::default(),
        tracking: Tracking::Time,
        now_ms: now.as_millis() as i64,
    }
}

/// Loads whatever `from` is and writes it to `to`.
fn export_all(arguments: &Arguments, from: &Path, to: &Path, threads: usize) -> Result<u8, String> {
    let (keyspaces, functions) = if is_snapshot(from) {
        let options = options(threads, arguments.databases.unwrap_or(16) as usize);
        let loaded = snapshot::load(&snapshot::parts(from)?, threads, &options);
        let (content, keyspaces) = loaded.map_err(|error| error.to_string())?;
        (keyspaces, content.loaded.functions)
    } else {
        let target = target(arguments)?;
        let lock = DirectoryLock::observe(&target.directory).map_err(|error| error.to_string())?;
        let place = Place { target, threads, _lock: lock };
        let checked = place.check()?;
        if checked.report.state() == State::Damaged {
            let directory = place.target.directory.display();
            return Err(format!("{directory} is damaged: run quire-check on it first"));
        }
        let (loaded, keyspaces) = place.load(&checked).map_err(|error| error.to_string())?;
        (keyspaces, loaded.functions)
    };
    export::write(&keyspaces, &functions, to).map(|()| 0)
}

enum Fixed {
    Done(Done),
    Refused(String),
}

impl Place {
    fn storage(&self) -> SystemStorage {
        SystemStorage::read_only(&self.target.directory)
    }

    fn check(&self) -> Result<Checked, String> {
        let (storage, progress) = (self.storage(), Arc::new(Progress::new()));
        let _bar = Bar::show(&progress);
        let team = Team { readers: &storage, threads: self.threads };
        let checked = run_ready(check(&storage, &team, &self.target.names, &progress));
        checked.map_err(|error| error.to_string())
    }

    fn load(&self, checked: &Checked) -> Result<(Loaded, Vec<Keyspace>), RecoveryError> {
        let (storage, progress) = (self.storage(), Arc::new(Progress::new()));
        let _bar = Bar::show(&progress);
        let team = Team { readers: &storage, threads: self.threads };
        let Target { names, databases, .. } = &self.target;
        let options = Options { names: names.clone(), ..options(self.threads, *databases) };
        run_ready(load(&storage, &team, checked, &options, &progress))
    }

    fn fix(
        &self,
        arguments: &Arguments,
        checked: &Checked,
        outcome: &Outcome,
    ) -> Result<Fixed, String> {
        let Target { directory, names, .. } = &self.target;
        let found = self.storage();
        let accepts = arguments.accept_loss || arguments.truncate_to_timestamp.is_some();
        let repair = match run_ready(checked.repair(&found, names, accepts)) {
            Ok(repair) if repair.is_empty() => {
                return Ok(Fixed::Refused("nothing to repair".to_owned()));
            }
            Ok(repair) => repair,
            Err(refused) => return Ok(Fixed::Refused(refusal(&refused))),
        };
        let aside = arguments.aside.clone().unwrap_or_else(|| default_aside(directory));
        let plan = human::repair(&repair, &aside);
        if !arguments.yes {
            if let Some(no) = ask(&human::text(outcome), &plan) {
                return Ok(Fixed::Refused(no));
            }
        } else if !arguments.json {
            let _ = writeln!(std::io::stdout(), "{plan}");
        }
        make_aside(&aside)?;
        let storage = SystemStorage::new(directory);
        let copies = SystemStorage::new(&aside);
        run_ready(async {
            let report = document::document(outcome).to_string();
            write_report(&copies, &report).await.map_err(|error| error.to_string())?;
            // ORDER: copies are stable before anything is cut.
            set_aside(&storage, &copies, names, &repair).await.map_err(|e| e.to_string())?;
            carry_out(&storage, names, checked, &repair)
                .await
                .map_err(|error| format!("{error}\nwhat was to be cut is in {}", aside.display()))
        })?;
        Ok(Fixed::Done(Done { aside, repair }))
    }
}

/// The way out belongs to the refusal.
fn refusal(refused: &Refused) -> String {
    let more = match refused {
        Refused::Loss(_) => "\nTo end the logs before it and lose what is behind: --accept-loss",
        Refused::Hopeless(_) | Refused::Storage(_) | Refused::NotInTime(_) => "",
    };
    format!("not repaired: {refused}{more}")
}

/// Asks; why not, where the answer is no.
fn ask(found: &str, plan: &str) -> Option<String> {
    let mut out = std::io::stderr();
    let _ = write!(out, "{found}\n{plan}");
    if !std::io::stdin().is_terminal() {
        return Some("not repaired: nobody to ask; give --yes to do it".to_owned());
    }
    let _ = write!(out, "Do it? [y/N] ");
    let mut answer = String::new();
    let heard = std::io::stdin().read_line(&mut answer);
    let yes = heard.is_ok() && ["y", "yes"].contains(&answer.trim().to_lowercase().as_str());
    (!yes).then(|| "not repaired: nothing has been changed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::Arguments;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
