//! `gdr man`: the manual, made of what `--help` says.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command};
use clap_mangen::Man;

use crate::exit::CommandResult;
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gdr man | man -l -
  gdr man ~/.local/share/man/man1")]
pub(crate) struct Options {
    /// Write the page of each command into this folder; else gdr's own goes to standard output.
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

pub(crate) fn run(options: &Options, command: Command) -> CommandResult {
    match &options.folder {
        Some(folder) => {
            std::fs::create_dir_all(folder)
                .and_then(|()| clap_mangen::generate_to(command, folder))
                .map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        None => {
            let mut text = Vec::new();
            Man::new(command).render(&mut text)?;
            output::printed(&text);
        }
    }
    Ok(ExitCode::SUCCESS)
}
