// Model lists in the native shape of each format. Cold path: allocates.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "sluice/base/units.hpp"
#include "sluice/dialect/format.hpp"

namespace sluice::dialect {

struct ModelInfo {
  std::string_view id;
  std::string_view display_name;  ///< empty: the id
  std::string_view owner;         ///< OpenAI's owned_by; empty: "sluice"
  std::int64_t created_s = 0;     ///< seconds since 1970
  Tokens context_tokens = 0;      ///< input limit, 0 = unknown
  Tokens max_output_tokens = 0;   ///< 0 = unknown
  bool embeddings = false;        ///< an embedding model (Gemini lists its methods)
};

/// The list of all models, appended to `out`.
void render_model_list(Format format, std::span<const ModelInfo> models, std::string& out);

/// One model, appended to `out`.
void render_model(Format format, const ModelInfo& model, std::string& out);

}  // namespace sluice::dialect
