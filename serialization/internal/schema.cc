#include "serialization/internal/schema.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "glog/logging.h"
#include "serialization/internal/schema_hash.h"

namespace spillway::internal {
namespace {

// How many combinations of definitions' ages are looked at for one half of them.
constexpr size_t kMaxCombinations = size_t{1} << 18;

std::string_view KindName(SchemaType::Kind kind) {
  switch (kind) {
    case SchemaType::Kind::kTable:
      return "table";
    case SchemaType::Kind::kStruct:
      return "struct";
    case SchemaType::Kind::kEnum:
      return "enum";
    case SchemaType::Kind::kUnion:
      return "union";
    case SchemaType::Kind::kPayload:
      return "payload";
  }
  return "";
}

// What a definition adds to the fingerprint at each age: with fewer fields than now, absent, and
// last as it is now.
std::vector<uint64_t> ContributionsByAge(const SchemaType& type) {
  DefinitionHash hash(KindName(type.kind), type.name, type.base);
  std::vector<uint64_t> contributions = {0};  // from before there was such a definition
  size_t required = 0;  // an age in which a required field is missing would not verify
  contributions.push_back(hash.Contribution());
  for (const SchemaField& field : type.fields) {
    hash.AddField(field.name, field.type, field.detail);
    contributions.push_back(hash.Contribution());
    if (field.detail == "required") required = contributions.size() - 1;
  }
  // Layouts of structs are fixed: one is what it is, or is not there.
  if (type.kind == SchemaType::Kind::kStruct || type.kind == SchemaType::Kind::kPayload)
    required = contributions.size() - 1;
  if (required > 1)
    contributions.erase(contributions.begin() + 1, contributions.begin() + required);
  return contributions;
}

// Every sum of one contribution of each definition in [begin, end).
std::vector<uint64_t> SumsOf(const std::vector<std::vector<uint64_t>>& contributions, size_t begin,
                             size_t end) {
  std::vector<uint64_t> sums = {0};
  for (size_t i = begin; i < end; ++i) {
    std::vector<uint64_t> next;
    next.reserve(sums.size() * contributions[i].size());
    for (uint64_t sum : sums) {
      for (uint64_t contribution : contributions[i]) next.push_back(sum + contribution);
    }
    sums = std::move(next);
  }
  return sums;
}

size_t CombinationsOf(const std::vector<std::vector<uint64_t>>& contributions, size_t begin,
                      size_t end) {
  size_t combinations = 1;
  for (size_t i = begin; i < end && combinations <= kMaxCombinations; ++i) {
    combinations *= contributions[i].size();
  }
  return combinations;
}

absl::string_view AsAbsl(std::string_view text) { return {text.data(), text.size()}; }

// "geo.shapes.Point" -> "geo.shapes", "Point".
std::pair<std::string, std::string> SplitName(const std::string& name) {
  size_t dot = name.rfind('.');
  if (dot == std::string::npos) return {"", name};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

void PrintDefinition(const SchemaType& type, std::string* text) {
  absl::StrAppend(text, AsAbsl(KindName(type.kind)), " ", SplitName(type.name).second);
  if (type.kind == SchemaType::Kind::kEnum) absl::StrAppend(text, ":", type.base);
  absl::StrAppend(text, " {");
  const char* separator = type.fields.empty() ? "" : "\n";
  for (const SchemaField& field : type.fields) {
    absl::StrAppend(text, separator, "  ", field.name);
    separator = "\n";
    switch (type.kind) {
      case SchemaType::Kind::kEnum:
        absl::StrAppend(text, " = ", field.type, ",");
        break;
      case SchemaType::Kind::kUnion:
        absl::StrAppend(text, ":", field.type, ",");
        break;
      default:
        absl::StrAppend(text, ":", field.type);
        if (field.detail == "required") {
          absl::StrAppend(text, " (required)");
        } else if (!field.detail.empty()) {
          absl::StrAppend(text, " = ", field.detail);
        }
        absl::StrAppend(text, ";");
    }
  }
  absl::StrAppend(text, type.fields.empty() ? "}\n" : "\n}\n");
}

// "[geo.Point:3]" -> "geo.Point".
std::string ElementName(const std::string& type) {
  size_t begin = type.find_first_not_of('[');
  return type.substr(begin, type.find_first_of(":]", begin) - begin);
}

// Enums, then structs with those that they consist of before them, as flatc demands; then the rest,
// what is used before its user as far as there is such an order.
std::vector<const SchemaType*> InOrderOfUse(const std::vector<SchemaType>& types) {
  using Kind = SchemaType::Kind;
  std::vector<const SchemaType*> order;
  auto add = [&](auto& self, const SchemaType& type) -> void {
    if (std::find(order.begin(), order.end(), &type) != order.end()) return;
    for (const SchemaField& field : type.fields) {
      for (const SchemaType& part : types) {
        if (part.kind == Kind::kStruct && part.name == ElementName(field.type)) self(self, part);
      }
    }
    order.push_back(&type);
  };
  for (const SchemaType& type : types) {
    if (type.kind == Kind::kEnum) order.push_back(&type);
  }
  for (const SchemaType& type : types) {
    if (type.kind == Kind::kStruct) add(add, type);
  }
  for (size_t i = types.size(); i-- > 0;) {
    if (types[i].kind != Kind::kPayload) add(add, types[i]);
  }
  return order;
}

}  // namespace

SchemaType* SchemaBuilder::Begin(SchemaType::Kind kind, std::string name) {
  for (const SchemaType& type : schema_.types) {
    if (type.name != name) continue;
    CHECK(type.kind == kind) << "a schema would define " << name << " twice; rename that type";
    return nullptr;
  }
  schema_.types.push_back({kind, std::move(name), "", {}});
  return &schema_.types.back();
}

uint64_t FingerprintOf(const Schema& schema) {
  if (schema.types.empty()) return 0;
  uint64_t sum = 0;
  for (const SchemaType& type : schema.types) sum += ContributionsByAge(type).back();
  return FinishFingerprint(sum);
}

bool IsFingerprintOfThisOrOlder(const Schema& schema, uint64_t fingerprint) {
  if (fingerprint == FingerprintOf(schema)) return true;
  std::vector<std::vector<uint64_t>> contributions;
  for (const SchemaType& type : schema.types) contributions.push_back(ContributionsByAge(type));

  // The fingerprint is a sum with one term from each list. Split the lists in two halves and look
  // for a sum of one half that completes a sum of the other. Where there are too many combinations,
  // assume that the definitions at the end of the longer half did not change.
  size_t middle = 0;
  while (middle < contributions.size() &&
         CombinationsOf(contributions, 0, middle + 1) <= kMaxCombinations) {
    ++middle;
  }
  for (size_t i = contributions.size();
       i-- > middle &&
       CombinationsOf(contributions, middle, contributions.size()) > kMaxCombinations;) {
    contributions[i] = {contributions[i].back()};
  }
  std::vector<uint64_t> first = SumsOf(contributions, 0, middle);
  std::sort(first.begin(), first.end());
  for (uint64_t sum : SumsOf(contributions, middle, contributions.size())) {
    if (std::binary_search(first.begin(), first.end(), fingerprint - sum)) return true;
  }
  return false;
}

std::string StructBase(size_t size, size_t alignment) { return absl::StrCat(size, "/", alignment); }

std::string SchemaToText(const Schema& schema) {
  std::string text;
  for (absl::string_view line : absl::StrSplit(schema.note, '\n', absl::SkipEmpty())) {
    absl::StrAppend(&text, "// ", line, "\n");
  }
  std::string current_namespace;
  for (const SchemaType* type : InOrderOfUse(schema.types)) {
    std::string name_space = SplitName(type->name).first;
    if (name_space != current_namespace || text.empty()) {
      absl::StrAppend(&text, text.empty() ? "" : "\n", "namespace ", name_space, ";\n");
      current_namespace = name_space;
    }
    absl::StrAppend(&text, "\n");
    PrintDefinition(*type, &text);
  }
  if (!schema.root.empty()) absl::StrAppend(&text, "\nroot_type ", schema.root, ";\n");
  if (!schema.file_identifier.empty()) {
    absl::StrAppend(&text, "file_identifier \"", schema.file_identifier, "\";\n");
  }
  return text;
}

}  // namespace spillway::internal
