//! Sign-in at an OpenID Connect provider: discovery, authorisation code with PKCE, nonce, and an ID token that was verified.
//!
//! Takes the provider's address and what it knows this suite by; gives the address to send a browser to, and later, for the code that
//! the browser brings back, the claims about who signed in. [`Rules`] say which claims mean which place.
//!
//! It does not know routes, cookies, tenants or databases: who remembers state, nonce and verifier in between is the caller. It makes
//! no connection before somebody signs in.

mod error;
mod net;
mod provider;
mod rules;

pub use error::Error;
pub use provider::{Begun, Claims, Options, Provider, is_on_this_machine};
pub use rules::{Place, Rules};
