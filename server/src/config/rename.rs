//! `rename-command`: under which names commands can be called.
//!
//! Only what clients send is looked up here. The log holds commands under their own names, so a
//! renamed command changes nothing about files.

use super::Config;
use std::collections::HashMap;

/// Every name a command can be called by, lower case, and the command's own name.
pub type CommandNames = HashMap<Vec<u8>, &'static str>;

/// Obeys one line: the command's name, its new name (empty = none).
pub(super) fn add(config: &mut Config, values: &[&[u8]]) -> Result<(), String> {
    let [from, to] = values else { return Err("wrong number of arguments".to_owned()) };
    config.rename_command.push((from.to_vec(), to.to_vec()));
    names(config).map(drop).map_err(str::to_owned).inspect_err(|_| {
        config.rename_command.pop();
    })
}

/// The names of all commands after the renames of `config`.
///
/// # Errors
/// Redis' text: there is no such command, or the new name is taken.
pub fn names(config: &Config) -> Result<CommandNames, &'static str> {
    let mut names: CommandNames = crate::dispatch::table::command_names()
        .map(|name| (name.as_bytes().to_vec(), name))
        .collect();
    for (from, to) in &config.rename_command {
        let command =
            names.remove(&from.to_ascii_lowercase()).ok_or("No such command in rename-command")?;
        if !to.is_empty() && names.insert(to.to_ascii_lowercase(), command).is_some() {
            return Err("Target command name already exists");
        }
    }
    Ok(names)
}
