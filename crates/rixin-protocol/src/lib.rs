//! The wire types of the OpenAI and Anthropic protocols, and the event-stream codec.
