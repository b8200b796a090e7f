//! The planner alone: single cases, and random histories against what must always hold.

use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::prelude::*;
use rixin_base::Code;

use super::*;

const GIB: u64 = 1 << 30;

fn rules() -> Rules {
    Rules { keep_alive: 1000, patience: 300, backoff_first: 100, backoff_most: 1000, stable: 5000 }
}

fn ask(model: &str, need: u64) -> Ask {
    Ask { model: model.parse().expect("valid id"), need, slots: 2, queue: 2, revision: 0 }
}

fn fault() -> Fault {
    Fault::new(Code::LoadFailed, "broken", "坏了")
}

fn plan(capacity: u64) -> Plan {
    let mut plan = Plan::new(rules());
    plan.set_capacity(capacity);
    plan
}

fn loads(actions: &[Action]) -> Vec<ReplicaId> {
    actions.iter().filter_map(|a| if let Action::Load(id, _) = a { Some(*id) } else { None }).collect()
}

fn ends(actions: &[Action]) -> Vec<ReplicaId> {
    actions
        .iter()
        .filter_map(|a| if let Action::Terminate(id) | Action::Kill(id) = a { Some(*id) } else { None })
        .collect()
}

/// Loads a model, gives it one request and takes that back.
fn loaded(plan: &mut Plan, now: Millis, model: &str, need: u64) -> ReplicaId {
    assert!(matches!(plan.request(now, 1000 + now, &ask(model, need), None), Answer::Waiting));
    let id = loads(&plan.take_actions())[0];
    plan.ready(now, id, need, 2);
    plan.take_actions();
    plan.release(now, id, 1);
    id
}

#[test]
fn many_waiters_one_load() {
    let mut plan = plan(10 * GIB);
    for waiter in 0..4 {
        assert!(matches!(plan.request(0, waiter, &ask("a", GIB), None), Answer::Waiting));
    }
    assert!(matches!(
        plan.request(0, 4, &ask("a", GIB), None),
        Answer::Refused(Refusal::QueueFull { bound: 4, .. })
    ));
    let actions = plan.take_actions();
    assert_eq!(loads(&actions).len(), 1);
    plan.ready(5, loads(&actions)[0], GIB, 2);
    let granted = plan.take_actions().iter().filter(|a| matches!(a, Action::Grant(..))).count();
    assert_eq!(granted, 4);
    assert!(matches!(
        plan.request(6, 5, &ask("a", GIB), None),
        Answer::Refused(Refusal::QueueFull { bound: 4, .. })
    ));
}

#[test]
fn the_longest_unused_goes_first_and_only_as_many_as_needed() {
    let mut plan = plan(10 * GIB);
    let old = loaded(&mut plan, 1, "old", 3 * GIB);
    let young = loaded(&mut plan, 2, "young", 3 * GIB);
    assert_eq!(plan.grant_now(3, &"old".parse().expect("id"), None), Some(old));
    plan.release(4, old, 1);
    assert!(matches!(plan.request(5, 1, &ask("new", 6 * GIB), None), Answer::Waiting));
    let actions = plan.take_actions();
    assert_eq!(ends(&actions), [young], "old was used last");
    assert!(loads(&actions).is_empty(), "not before the memory is back");
    plan.exited(6, young, fault());
    assert_eq!(loads(&plan.take_actions()).len(), 1);
}

#[test]
fn refused_with_figures_when_it_can_never_fit() {
    let mut plan = plan(4 * GIB);
    assert!(matches!(plan.request(0, 1, &ask("big", 6 * GIB), None), Answer::Waiting));
    let actions = plan.take_actions();
    let refused = actions.iter().any(|a| {
        matches!(a, Action::Refuse(1, Refusal::Memory { need, free, retry_after: None }) if *need == 6 * GIB && *free == 4 * GIB)
    });
    assert!(refused, "{actions:?}");
    assert!(plan.next_deadline().is_none());
}

#[test]
fn a_load_waits_for_a_busy_replica_and_goes_before_its_next_request() {
    let mut plan = plan(4 * GIB);
    let busy = loaded(&mut plan, 0, "busy", 3 * GIB);
    plan.grant_now(1, &"busy".parse().expect("id"), None);
    assert!(matches!(plan.request(2, 1, &ask("next", 2 * GIB), None), Answer::Waiting));
    assert!(plan.take_actions().is_empty());
    plan.release(3, busy, 2);
    assert_eq!(ends(&plan.take_actions()), [busy]);
    assert!(matches!(plan.request(4, 2, &ask("busy", 3 * GIB), None), Answer::Waiting));
    plan.exited(5, busy, fault());
    assert_eq!(loads(&plan.take_actions()).len(), 1, "only next fits");
}

#[test]
fn patience_ends_with_the_figures() {
    let mut plan = plan(4 * GIB);
    loaded(&mut plan, 0, "busy", 3 * GIB);
    plan.grant_now(1, &"busy".parse().expect("id"), None);
    assert!(matches!(plan.request(2, 1, &ask("next", 2 * GIB), None), Answer::Waiting));
    assert_eq!(plan.next_deadline(), Some(302));
    plan.tick(302);
    let actions = plan.take_actions();
    assert!(
        actions.iter().any(|a| matches!(a, Action::Refuse(1, Refusal::Memory { free, retry_after: Some(_), .. }) if *free == GIB)),
        "{actions:?}"
    );
}

#[test]
fn a_failed_load_tells_every_waiter_and_backs_off_longer_each_time() {
    let mut plan = plan(10 * GIB);
    let mut now = 0;
    for expected in [100, 200, 400, 800, 1000, 1000] {
        plan.request(now, 1, &ask("bad", GIB), None);
        plan.request(now, 2, &ask("bad", GIB), None);
        let id = loads(&plan.take_actions())[0];
        plan.exited(now, id, fault());
        let actions = plan.take_actions();
        assert_eq!(
            actions.iter().filter(|a| matches!(a, Action::Refuse(_, Refusal::Failed { .. }))).count(),
            2
        );
        let early = plan.request(now + expected - 1, 3, &ask("bad", GIB), None);
        assert!(matches!(early, Answer::Refused(Refusal::Failed { .. })), "{early:?}");
        let other = loaded(&mut plan, now, "good", 1);
        plan.stop(now, other, 0);
        plan.exited(now, other, fault());
        plan.take_actions();
        now += expected;
    }
    let anew = Ask { revision: 1, ..ask("bad", GIB) };
    assert!(matches!(plan.request(now + 1, 5, &anew, None), Answer::Waiting), "installed anew");
}

#[test]
fn a_first_crash_is_forgiven_and_repeated_ones_are_not() {
    let mut plan = plan(10 * GIB);
    let id = loaded(&mut plan, 0, "a", GIB);
    plan.exited(10, id, fault());
    let id = loaded(&mut plan, 11, "a", GIB);
    plan.exited(20, id, fault());
    assert!(matches!(plan.request(21, 1, &ask("a", GIB), None), Answer::Refused(Refusal::Failed { .. })));
    let id = loaded(&mut plan, 120, "a", GIB);
    plan.exited(120 + 5000, id, fault());
    assert!(matches!(plan.request(5121, 1, &ask("a", GIB), None), Answer::Waiting), "it had lived long");
}

#[test]
fn idle_unload_and_drain() {
    let mut plan = plan(10 * GIB);
    let id = loaded(&mut plan, 0, "a", GIB);
    assert_eq!(plan.next_deadline(), Some(1000));
    plan.tick(999);
    assert!(plan.take_actions().is_empty());
    plan.tick(1000);
    assert_eq!(ends(&plan.take_actions()), [id]);
    plan.exited(1001, id, fault());
    assert_eq!(plan.reserved(), 0);

    let id = loaded(&mut plan, 2000, "a", GIB);
    plan.grant_now(2001, &"a".parse().expect("id"), None);
    assert!(plan.stop(2002, id, 50));
    assert!(plan.take_actions().is_empty(), "its request may finish");
    assert!(plan.grant_now(2003, &"a".parse().expect("id"), None).is_none());
    plan.tick(2052);
    assert_eq!(ends(&plan.take_actions()), [id]);
}

#[derive(Clone, Debug)]
enum Step {
    Request(u8),
    Cancel(u8),
    Ready(u8),
    Exit(u8),
    Release(u8),
    Stop(u8),
    Start(u8),
    Pass(u16),
    Capacity(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any::<u8>().prop_map(Step::Request),
        1 => any::<u8>().prop_map(Step::Cancel),
        4 => any::<u8>().prop_map(Step::Ready),
        2 => any::<u8>().prop_map(Step::Exit),
        4 => any::<u8>().prop_map(Step::Release),
        1 => any::<u8>().prop_map(Step::Stop),
        1 => any::<u8>().prop_map(Step::Start),
        3 => (0u16..700).prop_map(Step::Pass),
        1 => (1u8..14).prop_map(Step::Capacity),
    ]
}

/// What a history needs to know of the world outside the planner.
#[derive(Default)]
struct World {
    now: Millis,
    capacity: u64,
    /// Processes that run, with what they need.
    processes: BTreeMap<ReplicaId, u64>,
    loading: Vec<ReplicaId>,
    ending: HashSet<ReplicaId>,
    leases: Vec<ReplicaId>,
    waiting: Vec<WaiterId>,
    needs: HashMap<ModelId, u64>,
    next_waiter: WaiterId,
}

fn model_of(number: u8) -> Ask {
    let number = number % 5;
    ask(&format!("m{number}"), (1 + u64::from(number)) * GIB)
}

impl World {
    fn carry_out(&mut self, plan: &mut Plan) {
        for action in plan.take_actions() {
            match action {
                Action::Load(id, model) => {
                    let need = self.needs[&model];
                    let reserved: u64 = self.processes.values().sum::<u64>() + need;
                    assert!(reserved <= self.capacity, "{reserved} of {} are reserved", self.capacity);
                    assert!(self.processes.insert(id, need).is_none());
                    self.loading.push(id);
                }
                Action::Terminate(id) | Action::Kill(id) => {
                    assert!(self.processes.contains_key(&id), "only a process can end");
                    assert!(self.ending.insert(id), "told once");
                }
                Action::Grant(waiter, id) => {
                    assert!(self.processes.contains_key(&id) && !self.ending.contains(&id));
                    self.answered(waiter);
                    self.leases.push(id);
                }
                Action::Refuse(waiter, _) => self.answered(waiter),
                Action::Abandon(id, _) => assert!(!self.processes.contains_key(&id)),
            }
        }
        assert_eq!(plan.reserved(), self.processes.values().sum::<u64>());
        for waiter in plan.waiters.values().flatten() {
            assert!(self.waiting.contains(&waiter.id));
        }
        assert_eq!(
            plan.waiters.values().map(VecDeque::len).sum::<usize>(),
            self.waiting.len(),
            "none is lost"
        );
        for model in plan.waiters.keys() {
            assert!(plan.coming(model), "{model} has waiters and nothing is coming");
        }
    }

    fn answered(&mut self, waiter: WaiterId) {
        let at = self.waiting.iter().position(|w| *w == waiter).expect("answered once");
        self.waiting.swap_remove(at);
    }

    fn act(&mut self, plan: &mut Plan, step: &Step) {
        fn pick<T: Copy>(list: &[T], number: u8) -> Option<T> {
            (!list.is_empty()).then(|| list[number as usize % list.len()])
        }
        match step {
            Step::Request(number) => {
                let ask = model_of(*number);
                self.needs.insert(ask.model.clone(), ask.need);
                self.next_waiter += 1;
                let affinity = (number % 3 == 0).then_some(u64::from(*number));
                match plan.request(self.now, self.next_waiter, &ask, affinity) {
                    Answer::Granted(id) => self.leases.push(id),
                    Answer::Refused(_) => {}
                    Answer::Waiting => self.waiting.push(self.next_waiter),
                }
            }
            Step::Cancel(number) => {
                if let Some(waiter) = pick(&self.waiting, *number) {
                    self.answered(waiter);
                    plan.cancel(self.now, waiter);
                }
            }
            Step::Ready(number) => {
                if let Some(id) = pick(&self.loading, *number) {
                    self.loading.retain(|other| *other != id);
                    plan.ready(self.now, id, self.processes[&id], 2);
                }
            }
            Step::Exit(number) => {
                let all: Vec<ReplicaId> = self.processes.keys().copied().collect();
                if let Some(id) = pick(&all, *number) {
                    self.exit(plan, id);
                }
            }
            Step::Release(number) => {
                if let Some(id) = pick(&self.leases, *number) {
                    let at = self.leases.iter().position(|other| *other == id).expect("picked");
                    self.leases.swap_remove(at);
                    plan.release(self.now, id, 7);
                }
            }
            Step::Stop(number) => {
                let all: Vec<ReplicaId> = plan.entries().map(|(id, _)| id).collect();
                if let Some(id) = pick(&all, *number) {
                    plan.stop(self.now, id, u64::from(*number));
                }
            }
            Step::Start(number) => {
                let ask = model_of(*number);
                self.needs.insert(ask.model.clone(), ask.need);
                let _ = plan.start(self.now, &ask);
            }
            Step::Pass(time) => {
                self.now += u64::from(*time);
                plan.tick(self.now);
            }
            Step::Capacity(gib) => {
                self.capacity = u64::from(*gib) * GIB;
                plan.set_capacity(self.capacity);
                plan.tick(self.now);
            }
        }
        self.carry_out(plan);
    }

    fn exit(&mut self, plan: &mut Plan, id: ReplicaId) {
        self.processes.remove(&id);
        self.loading.retain(|other| *other != id);
        self.ending.remove(&id);
        plan.exited(self.now, id, fault());
    }

    /// Everybody does their part: processes that are told to end do, loads succeed, requests finish, time passes.
    fn settle(&mut self, plan: &mut Plan) {
        for _ in 0..200 {
            while let Some(id) = self.ending.iter().next().copied() {
                self.exit(plan, id);
                self.carry_out(plan);
            }
            while !self.loading.is_empty() {
                self.act(plan, &Step::Ready(0));
            }
            while !self.leases.is_empty() {
                self.act(plan, &Step::Release(0));
            }
            if let Some(at) = plan.next_deadline() {
                self.now = self.now.max(at);
                plan.tick(self.now);
                self.carry_out(plan);
            } else if self.ending.is_empty() && self.loading.is_empty() {
                break;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_waiter_is_lost_memory_is_kept_and_nothing_gets_stuck(steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World { capacity: 8 * GIB, ..World::default() };
        let mut plan = plan(world.capacity);
        for step in &steps {
            world.act(&mut plan, step);
        }
        world.settle(&mut plan);
        prop_assert!(world.waiting.is_empty(), "{:?} wait for ever", world.waiting);
        prop_assert!(!plan.has_pending());
        prop_assert_eq!(plan.reserved(), 0, "idle replicas are unloaded in the end");

        // and afterwards a request that fits is served
        world.act(&mut plan, &Step::Pass(2000));
        world.act(&mut plan, &Step::Capacity(8));
        world.act(&mut plan, &Step::Request(0));
        world.settle(&mut plan);
        prop_assert!(world.waiting.is_empty());
        world.act(&mut plan, &Step::Start(1));
        plan.shutdown(world.now, 10);
        world.carry_out(&mut plan);
        world.settle(&mut plan);
        prop_assert_eq!(plan.entries().count(), 0);
    }
}
