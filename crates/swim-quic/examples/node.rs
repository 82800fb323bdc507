//! The reference member: a cluster node driven over stdin and stdout.
//!
//! Turns a command line into a running [`Cluster`], commands on stdin into calls, and events into
//! JSON lines. The demo, the tests and people drive it.
#![forbid(unsafe_code)]

#[path = "node/arguments.rs"]
mod arguments;
#[path = "node/files.rs"]
mod files;
#[path = "node/logging.rs"]
mod logging;
#[path = "node/output.rs"]
mod output;
#[path = "node/process.rs"]
mod process;
#[path = "node/session.rs"]
mod session;

use std::io::BufRead;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use swim_quic::{Cluster, Event, NameFields, StartError, Subscription, with_sources};

use arguments::Arguments;
use output::Output;

/// How long a signal or a `quit` waits for the leave.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long connections may take to close politely after a leave.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// The application protocol that every node answers.
const ECHO: &str = "echo";

/// Whether this member is going down on purpose.
static GOING: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let arguments = match Arguments::from_command_line() {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    logging::start(arguments.log);
    // Before the start, so that no signal finds a member that cannot leave.
    let (lines_sender, lines) = unbounded();
    let signal = lines_sender.clone();
    let handler = ctrlc::set_handler(move || {
        let _ = signal.send(Input::Stop);
    });
    if let Err(error) = handler {
        log::warn!("signals end this node without a leave: {error}");
    }
    let output = Arc::new(Output::new(arguments.json));
    match start(&arguments) {
        Ok((cluster, events)) => {
            output.ready(&cluster);
            let exit_on_eof = arguments.exit_on_eof;
            std::thread::spawn(move || read_lines(&lines_sender, exit_on_eof));
            run(cluster, events, &lines, &output, arguments.certs)
        }
        Err(error) => arguments::refuse(&error),
    }
}

fn start(arguments: &Arguments) -> Result<(Cluster, Subscription), String> {
    let identity = files::identity_files(&arguments.certs, &arguments.name)?;
    let mut builder = Cluster::builder(&arguments.name)
        .bind(&arguments.bind)
        .identity_files(identity)
        .name_policy(arguments.name_policy)
        .config(arguments.config()?)
        .seeds(arguments.seeds())
        .meta(arguments.meta.as_bytes());
    if let Some(pattern) = &arguments.spiffe {
        builder = builder.name_fields(NameFields::spiffe(pattern.clone()));
    }
    if let Some(advertise) = arguments.advertise {
        builder = builder.advertise(advertise);
    }
    if let Some(secret) = files::reset_secret(&arguments.certs, &arguments.name)? {
        builder = builder.reset_secret(secret);
    }
    let events = builder.subscribe();
    let cluster = builder.start().map_err(|error| explain(&error))?;
    Ok((cluster, events))
}

/// The library's words, and the flag of this program that mends it.
fn explain(error: &StartError) -> String {
    if let StartError::Announce(error) = error {
        return format!("{error}: pass --advertise IP:PORT");
    }
    with_sources(error)
}

/// Serves until a command, a signal or the end of input ends it.
fn run(
    cluster: Cluster,
    events: Subscription,
    lines: &Receiver<Input>,
    output: &Arc<Output>,
    certificates: PathBuf,
) -> ExitCode {
    let own_name = cluster.name().clone();
    let event_output = Arc::clone(output);
    std::thread::spawn(move || {
        for event in events {
            event_output.event(&event, &own_name);
            if let Event::Stopped { reason } = event
                && !GOING.load(Ordering::Acquire)
            {
                log::error!("the member stopped by itself: {reason}");
                std::process::exit(1);
            }
        }
    });
    echo(&cluster, output);
    let mut session = session::Session::new(cluster, Arc::clone(output), certificates);
    while let Ok(input) = lines.recv() {
        let go_on = match input {
            Input::Line(line) => session.command(&line),
            Input::Stop => false,
        };
        if !go_on {
            break;
        }
    }
    GOING.store(true, Ordering::Release);
    session.go();
    ExitCode::SUCCESS
}

/// Every node echoes on the protocol `echo`.
fn echo(cluster: &Cluster, output: &Arc<Output>) {
    let listener = match cluster.listen(ECHO) {
        Ok(listener) => listener,
        Err(error) => {
            log::error!("nobody will echo: {}", with_sources(&error));
            return;
        }
    };
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        for call in listener {
            output.stream(&call);
            std::thread::spawn(move || {
                let mut reader = call.stream;
                let mut writer = reader.try_clone();
                if let Err(error) = std::io::copy(&mut reader, &mut writer) {
                    log::debug!("echoing to {} ended early: {error}", call.from);
                }
            });
        }
    });
}

/// What the main loop waits for.
enum Input {
    Line(String),
    Stop,
}

/// Reads commands; `die` is carried out here so that nothing can delay it.
fn read_lines(lines: &Sender<Input>, exit_on_eof: bool) {
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        match input.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if text == "die" {
            std::process::exit(0);
        }
        if !text.is_empty() && lines.send(Input::Line(text.to_owned())).is_err() {
            return;
        }
    }
    if exit_on_eof {
        let _ = lines.send(Input::Stop);
    }
}
