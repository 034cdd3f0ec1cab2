//! String and generic commands.
