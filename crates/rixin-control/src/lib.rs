//! Replicas and downloads under supervision: planner, routing, keep-alive, external engines.
