//! stub
use crate::Stop;
pub(crate) fn run(_: &std::path::Path, _: &clap::Command) -> Result<(), Stop> {
    Ok(())
}
