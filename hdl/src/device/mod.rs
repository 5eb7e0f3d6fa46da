//! What sits behind the rings.
