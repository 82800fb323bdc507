//! Calls the application's hooks for the membership machine: with certificates, timed, and
//! without letting a panic through.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use certs::with_sources;
use swim_core::{Member, Membership, StateSender};

use crate::hook_link::{HookLink, HookReport};
use crate::hooks::Hooks;
use crate::node::Shared;

/// A hook that takes longer is named: it is a twentieth of the least time that a probe is given by
/// a [`Config`](crate::Config) of this library.
const SLOW: Duration = Duration::from_millis(10);

/// What a panic counts as, where it is a question of admission.
const PANICKED: &str = "the application's hook panicked";

/// The hooks of an application. Members that are started from clones of one builder share them.
pub(crate) type SharedHooks = Arc<Mutex<dyn Hooks + Send>>;

/// The hooks of an application, as the machine of one member calls them.
struct HookRunner {
    hooks: SharedHooks,
    link: Arc<HookLink>,
}

impl HookRunner {
    fn new(hooks: SharedHooks, link: Arc<HookLink>) -> Self {
        Self { hooks, link }
    }

    /// Calls one hook; `None` if it panicked.
    #[expect(clippy::disallowed_methods, reason = "a hook is timed by the real clock")]
    fn call<T>(&self, name: &str, call: impl FnOnce(&mut (dyn Hooks + Send)) -> T) -> Option<T> {
        let began = Instant::now();
        let answer = catch_unwind(AssertUnwindSafe(|| {
            // A panic may have left the hooks half done; they are the application's to repair.
            call(&mut *self.hooks.lock().unwrap_or_else(PoisonError::into_inner))
        }));
        let took = began.elapsed();
        if took > SLOW {
            let detail = format!(
                "{name} took {took:.0?} on the driver thread, more than {SLOW:?}: probes are \
                 answered late meanwhile; do its work on another thread"
            );
            self.link.report(HookReport { what: format!("slow hook {name}"), detail });
        }
        if answer.is_err() {
            let detail = format!(
                "{name} panicked, which counts as a refusal or as no state: the message on stderr \
                 says where"
            );
            self.link.report(HookReport { what: format!("panicking hook {name}"), detail });
        }
        answer.ok()
    }
}

/// Has the machine ask these hooks, and the node tell them of certificates.
pub(crate) fn install_hooks(
    hooks: Option<SharedHooks>,
    membership: &mut Membership,
    shared: &Shared,
) {
    let Some(hooks) = hooks else { return };
    let link = Arc::clone(shared.hook_link.get_or_init(|| Arc::new(HookLink::default())));
    membership.set_hooks(Box::new(HookRunner::new(hooks, link)));
}

impl swim_core::Hooks for HookRunner {
    fn admit_member(&mut self, candidate: &Member) -> Result<(), String> {
        let certificate = self.link.certificate_of(candidate);
        self.call("admit_member", |hooks| hooks.admit_member(candidate, certificate.as_deref()))
            .unwrap_or_else(|| Err(PANICKED.into()))
            .map_err(|reason| with_sources(&*reason))
    }

    fn admit_merge(&mut self, members: &[Member]) -> Result<(), String> {
        self.call("admit_merge", |hooks| hooks.admit_merge(members))
            .unwrap_or_else(|| Err(PANICKED.into()))
            .map_err(|reason| with_sources(&*reason))
    }

    fn on_conflict(&mut self, holder: &Member, claimant: SocketAddr) {
        // There is nothing to decide on.
        let _ = self.call("on_conflict", |hooks| hooks.on_conflict(holder, claimant));
    }

    fn local_state(&mut self, join: bool) -> Option<Vec<u8>> {
        self.call("local_state", |hooks| hooks.local_state(join))
            .unwrap_or_else(|| Some(Vec::new()))
    }

    fn merge_remote_state(&mut self, state: &[u8], join: bool, from: StateSender<'_>) {
        let _ =
            self.call("merge_remote_state", |hooks| hooks.merge_remote_state(state, join, from));
    }
}
