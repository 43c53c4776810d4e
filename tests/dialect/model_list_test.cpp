#include "sluice/dialect/model_list.hpp"

#include <gtest/gtest.h>

#include <array>

namespace sluice::dialect {
namespace {

const std::array<ModelInfo, 2> kModels{{
    {.id = "gpt-\"x\"",
     .display_name = "X",
     .owner = "acme",
     .created_s = 1'763'800'000,
     .context_tokens = 1000,
     .max_output_tokens = 50},
    {.id = "e", .created_s = 951'782'400, .embeddings = true},
}};

std::string list(Format format, std::span<const ModelInfo> models) {
  std::string out;
  render_model_list(format, models, out);
  return out;
}

TEST(ModelList, HasTheShapeOfEachFormat) {
  EXPECT_EQ(
      list(Format::openai, kModels),
      R"({"object":"list","data":[{"id":"gpt-\"x\"","object":"model","created":1763800000,"owned_by":"acme"},)"
      R"({"id":"e","object":"model","created":951782400,"owned_by":"sluice"}]})");
  EXPECT_EQ(
      list(Format::claude, kModels),
      R"({"data":[{"type":"model","id":"gpt-\"x\"","display_name":"X","created_at":"2025-11-22T08:26:40Z",)"
      R"("lifecycle":"active","max_input_tokens":1000,"max_tokens":50},)"
      R"({"type":"model","id":"e","display_name":"e","created_at":"2000-02-29T00:00:00Z","lifecycle":"active"}],)"
      R"("has_more":false,"first_id":"gpt-\"x\"","last_id":"e"})");
  EXPECT_EQ(
      list(Format::gemini, kModels),
      R"({"models":[{"name":"models/gpt-\"x\"","version":"001","displayName":"X","description":"X",)"
      R"("inputTokenLimit":1000,"outputTokenLimit":50,)"
      R"("supportedGenerationMethods":["generateContent","streamGenerateContent","countTokens"]},)"
      R"({"name":"models/e","version":"001","displayName":"e","description":"e",)"
      R"("supportedGenerationMethods":["embedContent"]}]})");
}

TEST(ModelList, MayBeEmpty) {
  EXPECT_EQ(list(Format::openai, {}), R"({"object":"list","data":[]})");
  EXPECT_EQ(list(Format::claude, {}),
            R"({"data":[],"has_more":false,"first_id":null,"last_id":null})");
  EXPECT_EQ(list(Format::gemini, {}), R"({"models":[]})");
}

TEST(ModelList, RendersOneModel) {
  std::string out;
  render_model(Format::openai, kModels[1], out);
  EXPECT_EQ(out, R"({"id":"e","object":"model","created":951782400,"owned_by":"sluice"})");
}

}  // namespace
}  // namespace sluice::dialect
