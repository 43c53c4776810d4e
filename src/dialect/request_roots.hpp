// The top-level members of a request body, format by format. Part of request_rules.hpp.
#pragma once

#include "request_rules.hpp"

namespace sluice::dialect {

inline RequestRole RequestRules::openai_root(Key key) {
  const Operation operation = scan_.operation;
  const bool responses = operation == Operation::openai_responses;
  const bool embeddings = operation == Operation::openai_embeddings;
  switch (key) {
    case Key::model:
      return Role::model;
    case Key::stream:
      return Role::stream;
    case Key::stream_options:
      return responses ? Role::skip : Role::stream_options;
    case Key::max_tokens:
      return responses || embeddings ? Role::free : Role::cap;
    case Key::max_completion_tokens:  // of Chat alone: elsewhere nobody keeps to it
      return operation == Operation::openai_chat ? Role::cap : Role::free;
    case Key::max_output_tokens:
      return responses ? Role::cap : Role::free;
    case Key::n:
    case Key::best_of:
      return responses || embeddings ? Role::free : Role::choices;
    case Key::service_tier:
      return Role::service_tier;
    case Key::background:
      return Role::background;
    case Key::previous_response_id:
    case Key::conversation:
      return Role::previous;
    case Key::messages:
      return Role::messages;
    case Key::input:
      return responses ? Role::messages : Role::inputs;
    case Key::prompt:
      return responses ? Role::previous : Role::inputs;
    case Key::suffix:
      return Role::text;
    case Key::system:
      return Role::content;
    case Key::tools:
    case Key::functions:
      return Role::tools;
    case Key::modalities:
      return Role::modalities;
    case Key::web_search_options:
    case Key::search_parameters:
    case Key::enable_search:
    case Key::plugins:
    case Key::mcp_servers:
      return Role::flag_server_tools;
    case Key::models:
    case Key::fallbacks:
      return Role::flag_fallback;
    case Key::metadata:
      return Role::metadata;
    case Key::user:
      return Role::hint_user;
    case Key::prompt_cache_key:
      return Role::hint_key;
    case Key::parameter:
    case Key::audio:
    case Key::reasoning:
      return Role::skip;
    default:
      return Role::free;
  }
}

inline RequestRole RequestRules::claude_root(Key key) {
  switch (key) {
    case Key::model:
      return Role::model;
    case Key::stream:
      return Role::stream;
    case Key::max_tokens:
      return Role::cap;
    case Key::service_tier:
      return Role::service_tier;
    case Key::speed:
      return Role::speed;
    case Key::metadata:
      return Role::metadata;
    case Key::messages:
      return Role::messages;
    case Key::system:
      return Role::content;
    case Key::tools:
      return Role::tools;
    case Key::mcp_servers:
      return Role::flag_server_tools;
    case Key::fallbacks:
      return Role::flag_fallback;
    case Key::parameter:
    case Key::thinking:
      return Role::skip;
    default:
      return Role::free;
  }
}

inline RequestRole RequestRules::gemini_root(Key key) {
  switch (key) {
    case Key::model:
      return Role::model;
    case Key::contents:
      return Role::messages;
    case Key::content:
    case Key::system:
      return Role::content;
    case Key::generation_config:
      return Role::config;
    case Key::generate_content_request:
      return Role::root;
    case Key::cached_content:
      return Role::cached;
    case Key::service_tier:
      return Role::service_tier;
    case Key::tools:
      return Role::tools;
    case Key::parameter:
      return Role::skip;
    default:
      return Role::free;
  }
}

}  // namespace sluice::dialect
