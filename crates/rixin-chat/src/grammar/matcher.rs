//! Follows a text through a grammar, with a bound on how many readings of it are alive.

use std::{collections::HashSet, sync::Arc};

use super::{
    GrammarError,
    gbnf::{Element, Place, Rules},
};

/// Most readings at once.
const MAX_READINGS: usize = 4096;
/// Most places over all readings.
const MAX_PLACES: usize = 1 << 20;

/// Readings of the text so far, each the stack of places that are still to come.
#[derive(Clone, Debug)]
pub struct Matcher {
    rules: Arc<Rules>,
    readings: Vec<Vec<Place>>,
}

impl Matcher {
    pub(super) fn new(rules: Arc<Rules>) -> Self {
        let mut starts = Vec::new();
        for alternative in 0..rules.rules[rules.root as usize].len() {
            let place = Place { rule: rules.root, alternative: alternative as u32, element: 0 };
            starts.push(if rules.element(place).is_some() { vec![place] } else { Vec::new() });
        }
        let mut matcher = Self { rules, readings: Vec::new() };
        // The start of a grammar that was measured has few readings; a failure shows at the first push.
        matcher.readings = matcher.expand(starts).unwrap_or_default();
        matcher
    }

    /// Takes the next piece; false when the text does not follow the grammar any more.
    ///
    /// # Errors
    /// [`GrammarError::Ambiguous`].
    pub fn push(&mut self, text: &str) -> Result<bool, GrammarError> {
        for c in text.chars() {
            let code = u32::from(c);
            let mut after = Vec::new();
            for reading in &self.readings {
                let Some((top, below)) = reading.split_last() else { continue };
                let Some(Element::Char { ranges, negated }) = self.rules.element(*top) else { continue };
                if ranges.iter().any(|(low, high)| (*low..=*high).contains(&code)) != *negated {
                    let mut next = below.to_vec();
                    self.rules.push_next(&mut next, *top);
                    after.push(next);
                }
            }
            self.readings = self.expand(after)?;
            if self.readings.is_empty() {
                return Ok(false);
            }
        }
        Ok(!self.readings.is_empty())
    }

    /// Whether the text may end here.
    pub fn can_end(&self) -> bool {
        self.readings.iter().any(Vec::is_empty)
    }

    /// Replaces rules on top by their alternatives until each reading is empty or waits for a character.
    fn expand(&self, mut todo: Vec<Vec<Place>>) -> Result<Vec<Vec<Place>>, GrammarError> {
        let mut seen: HashSet<Vec<Place>> = HashSet::new();
        let mut done = Vec::new();
        let mut places = 0;
        while let Some(reading) = todo.pop() {
            if !seen.insert(reading.clone()) {
                continue;
            }
            places += reading.len();
            if done.len() > MAX_READINGS || places > MAX_PLACES {
                return Err(GrammarError::Ambiguous { limit: MAX_READINGS });
            }
            let Some((top, below)) = reading.split_last() else {
                done.push(reading);
                continue;
            };
            match self.rules.element(*top) {
                Some(Element::Rule(id)) => {
                    let mut base = below.to_vec();
                    self.rules.push_next(&mut base, *top);
                    for alternative in 0..self.rules.rules[*id as usize].len() {
                        let place = Place { rule: *id, alternative: alternative as u32, element: 0 };
                        let mut next = base.clone();
                        if self.rules.element(place).is_some() {
                            next.push(place);
                        }
                        todo.push(next);
                    }
                }
                _ => done.push(reading),
            }
        }
        Ok(done)
    }
}

impl Rules {
    pub(super) fn element(&self, place: Place) -> Option<&Element> {
        self.rules[place.rule as usize][place.alternative as usize].get(place.element as usize)
    }

    fn push_next(&self, stack: &mut Vec<Place>, place: Place) {
        let next = Place { element: place.element + 1, ..place };
        if self.element(next).is_some() {
            stack.push(next);
        }
    }
}
