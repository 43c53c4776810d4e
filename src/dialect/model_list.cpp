#include "sluice/dialect/model_list.hpp"

#include <array>

#include "json_writer.hpp"
#include "timestamp.hpp"

namespace sluice::dialect {
namespace {

void append_string(std::string& out, std::string_view text) {
  std::string buffer(text.size() * 6 + 2, '\0');
  JsonWriter writer(buffer);
  writer.string(text);
  out.append(buffer, 0, writer.size());
}

void append_member(std::string& out, std::string_view name, std::string_view text) {
  out += ",\"";
  out += name;
  out += "\":";
  append_string(out, text);
}

void append_member(std::string& out, std::string_view name, std::int64_t value) {
  out += ",\"";
  out += name;
  out += "\":";
  out += std::to_string(value);
}

std::string_view display_name(const ModelInfo& model) {
  return model.display_name.empty() ? model.id : model.display_name;
}

void openai_model(const ModelInfo& model, std::string& out) {
  out += "{\"id\":";
  append_string(out, model.id);
  append_member(out, "object", "model");
  append_member(out, "created", model.created_s);
  append_member(out, "owned_by", model.owner.empty() ? "sluice" : model.owner);
  out += '}';
}

void claude_model(const ModelInfo& model, std::string& out) {
  out += "{\"type\":\"model\",\"id\":";
  append_string(out, model.id);
  append_member(out, "display_name", display_name(model));
  append_member(out, "created_at", Timestamp(model.created_s).view());
  append_member(out, "lifecycle", "active");
  if (model.context_tokens > 0) append_member(out, "max_input_tokens", model.context_tokens);
  if (model.max_output_tokens > 0) append_member(out, "max_tokens", model.max_output_tokens);
  out += '}';
}

void gemini_model(const ModelInfo& model, std::string& out) {
  std::string name = "models/";
  name += model.id;
  out += "{\"name\":";
  append_string(out, name);
  append_member(out, "version", "001");
  append_member(out, "displayName", display_name(model));
  append_member(out, "description", display_name(model));
  if (model.context_tokens > 0) append_member(out, "inputTokenLimit", model.context_tokens);
  if (model.max_output_tokens > 0) append_member(out, "outputTokenLimit", model.max_output_tokens);
  out += ",\"supportedGenerationMethods\":";
  out += model.embeddings ? "[\"embedContent\"]"
                          : "[\"generateContent\",\"streamGenerateContent\",\"countTokens\"]";
  out += '}';
}

}  // namespace

void render_model(Format format, const ModelInfo& model, std::string& out) {
  switch (format) {
    case Format::openai:
    case Format::responses:
      return openai_model(model, out);
    case Format::claude:
      return claude_model(model, out);
    case Format::gemini:
      return gemini_model(model, out);
  }
}

void render_model_list(Format format, std::span<const ModelInfo> models, std::string& out) {
  switch (format) {
    case Format::openai:
    case Format::responses:
      out += "{\"object\":\"list\",\"data\":[";
      break;
    case Format::claude:
      out += "{\"data\":[";
      break;
    case Format::gemini:
      out += "{\"models\":[";
      break;
  }
  for (const ModelInfo& model : models) {
    if (&model != models.data()) out += ',';
    render_model(format, model, out);
  }
  out += ']';
  if (format == Format::claude) {
    out += ",\"has_more\":false,\"first_id\":";
    models.empty() ? out += "null" : (append_string(out, models.front().id), out);
    out += ",\"last_id\":";
    models.empty() ? out += "null" : (append_string(out, models.back().id), out);
  }
  out += '}';
}

}  // namespace sluice::dialect
