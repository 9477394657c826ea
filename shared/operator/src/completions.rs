//! `gdr completions`: the scripts with which a shell completes command lines.

use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::exit::CommandResult;
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  gdr completions bash > ~/.local/share/bash-completion/completions/gdr
  gdr completions zsh > ~/.zfunc/_gdr
  gdr completions fish > ~/.config/fish/completions/gdr.fish")]
pub(crate) struct Options {
    /// The shell.
    shell: Shell,
}

pub(crate) fn run(options: &Options, mut command: Command) -> CommandResult {
    let mut text = Vec::new();
    clap_complete::generate(options.shell, &mut command, "gdr", &mut text);
    output::printed(&text);
    Ok(ExitCode::SUCCESS)
}
