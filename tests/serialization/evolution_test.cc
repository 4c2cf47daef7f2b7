// Payloads written before the schema of their type changed.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "flatbuffers/idl.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serialization/internal/binary_schema.h"
#include "serialization/internal/schema.h"
#include "serialization/object.h"
#include "serialization/type_registry.h"
#include "tests/serialization/payload.h"
#include "tests/serialization/zoo_generated.h"

// A program and its later version, side by side.
namespace before {

struct Leg {
  float length = 0;
};
struct Chair {
  std::string name;
  std::vector<Leg> legs;
  std::vector<before::Chair> copies;
};

}  // namespace before

namespace after {

enum class Wood : uint8_t { kOak, kBirch };

struct Leg {
  float length = 0;
};
struct Maker {
  std::string name = "unknown";
};
struct Chair {
  std::string name;
  std::vector<Leg> legs;
  std::vector<Chair> copies;
  // New:
  int32_t price = 50;
  Wood wood = Wood::kBirch;
  std::optional<Maker> maker;
  Maker seller;
  std::map<std::string, int> tags;
  Leg spare = {1.5f};
};

}  // namespace after

SPILLWAY_OBJECT(before::Leg, length)
SPILLWAY_OBJECT(before::Chair, name, legs, copies)
SPILLWAY_OBJECT(after::Leg, length)
SPILLWAY_TABLE(after::Maker, name)
SPILLWAY_OBJECT(after::Chair, name, legs, copies, price, wood, maker, seller, tags, spare)

namespace spillway {
namespace {

using internal::FingerprintOf;
using internal::IsFingerprintOfThisOrOlder;
using internal::Schema;

Schema Compile(const std::string& definitions) {
  flatbuffers::Parser parser;
  EXPECT_TRUE(parser.Parse(("namespace n; " + definitions).c_str())) << parser.error_;
  parser.Serialize();
  return internal::SchemaOfTable(parser.builder_.GetBufferPointer(), "n.T");
}

constexpr char kBase[] =
    "enum E:byte { A, B } struct S { x:int; } table P { q:int; } union U { P }"
    "table T { a:int; b:string; e:E; s:S; p:P; u:U; }";

bool CanReadOld(const std::string& old_definitions, const std::string& new_definitions) {
  Schema current = Compile(new_definitions);
  return IsFingerprintOfThisOrOlder(current, FingerprintOf(Compile(old_definitions)));
}

// kBase with one part replaced by another.
std::string With(const std::string& part, const std::string& replacement) {
  std::string definitions = kBase;
  size_t at = definitions.find(part);
  EXPECT_NE(at, std::string::npos) << part;
  return definitions.replace(at, part.size(), replacement);
}

TEST(EvolutionTest, AdditionsAtTheEndKeepOldPayloadsReadable) {
  const std::pair<const char*, const char*> kAdditions[] = {
      {"u:U; }", "u:U; z:int; }"}, {"u:U; }", "u:U; z:int; y:[string]; w:T; }"},
      {"A, B", "A, B, C"},         {"q:int; }", "q:int; r:double; }"},
      {"{ P }", "{ P, T }"},
  };
  for (auto [part, replacement] : kAdditions) {
    EXPECT_TRUE(CanReadOld(kBase, With(part, replacement))) << replacement;
    // What the new schema may have written is not known to the old one.
    EXPECT_FALSE(CanReadOld(With(part, replacement), kBase)) << replacement;
  }
  EXPECT_TRUE(CanReadOld("table T { a:int; }",
                         "table V { t:T; } struct S { i:int; } table T { a:int; v:V; s:S; }"));
}

TEST(EvolutionTest, SeveralAdditionsInSeveralPlacesKeepOldPayloadsReadable) {
  EXPECT_TRUE(
      CanReadOld("table A { a:int; } table B { b:int; } table T { a:A; b:B; }",
                 "table C { c:int; } table A { a:int; x:C; y:int; } table B { b:int; z:[A]; }"
                 "table T { a:A; b:B; c:C; d:bool; }"));
}

TEST(EvolutionTest, ChangesOfMeaningAreFoundOut) {
  const std::pair<const char*, const char*> kChanges[] = {
      {"a:int; ", ""},                           // a field removed
      {"a:int; b:string;", "b:string; a:int;"},  // fields in another order
      {"a:int;", "a:int; z:int;"},               // a field added in the middle
      {"a:int;", "a:uint;"},                     // another type of the same size
      {"a:int;", "a:long;"},
      {"a:int;", "a:int = 5;"},  // another default
      {"a:int;", "a:int = null;"},
      {"a:int;", "z:int;"},  // another name, which may mean another thing
      {"b:string;", "b:[ubyte];"},
      {"b:string;", "b:string (required);"},
      {"u:U; }", "u:U; z:string (required); }"},  // old payloads lack it
      {"x:int;", "x:int; y:int;"},                // a struct's layout
      {"x:int;", "x:uint;"},
      {"A, B", "B, A"},  // enum values renumbered
      {"A, B", "A, X, B"},
      {"E:byte", "E:short"},
      {"{ P }", "{ T, P }"},  // union members renumbered
      {"q:int;", "q:float;"},
  };
  for (auto [part, replacement] : kChanges) {
    EXPECT_FALSE(CanReadOld(kBase, With(part, replacement))) << part << " -> " << replacement;
  }
}

TEST(EvolutionTest, WhatReadersNeverSeeDoesNotCount) {
  // Comments, the order of definitions, explicit ids, and definitions that T does not reach.
  EXPECT_TRUE(CanReadOld("table T { a:int; b:string; } table Other { x:int; }",
                         "\n/// A table.\ntable Another { y:float; }"
                         "table T { b:string (id: 1); a:int (id: 0); }"));
  EXPECT_TRUE(CanReadOld(kBase, With("a:int;", "a:int (deprecated);")));
}

TEST(EvolutionTest, LargeSchemasAreJudgedInBoundedTime) {
  // 40 tables with 20 fields each have 22^40 histories.
  std::string before, after;
  for (int i = 0; i < 40; ++i) {
    std::string fields;
    for (int j = 0; j < 20; ++j) fields += "f" + std::to_string(j) + ":int; ";
    std::string table = "table T" + (i == 0 ? "" : std::to_string(i)) + " { " + fields;
    if (i < 39) table += "next:T" + std::to_string(i + 1) + "; ";
    before += table + "}";
    after += table + (i == 0 ? "more:string; }" : "}");
  }
  EXPECT_TRUE(CanReadOld(before, before));
  EXPECT_TRUE(CanReadOld(before, after));
  EXPECT_FALSE(CanReadOld(after, before));
}

TEST(EvolutionTest, MembersThatOldPayloadsLackReadAsEmptyAndDecodeAsDefaults) {
  before::Chair old{.name = "chair", .legs = {{1}, {2}}, .copies = {{"copy", {}, {}}}};
  Payload payload = EncodeToPayload<before::Chair>(old);
  ASSERT_TRUE(Codec<after::Chair>::Verify(payload.bytes()).ok());

  ViewOf<after::Chair> view = Codec<after::Chair>::MakeView(payload.bytes());
  EXPECT_EQ(view.name(), "chair");
  EXPECT_EQ(view.legs()[1].length, 2);
  EXPECT_EQ(view.copies()[0].name(), "copy");
  EXPECT_EQ(view.price(), 0);
  EXPECT_EQ(view.maker(), std::nullopt);
  EXPECT_EQ(view.seller().name(), "");
  EXPECT_TRUE(view.tags().empty());
  EXPECT_FALSE(view.tags().contains("x"));
  EXPECT_EQ(view.spare()->length, 0);

  after::Chair chair = Codec<after::Chair>::Decode(view);
  EXPECT_EQ(chair.copies[0].name, "copy");
  EXPECT_EQ(chair.price, 50);
  EXPECT_EQ(chair.wood, after::Wood::kBirch);
  EXPECT_EQ(chair.seller.name, "unknown");
  EXPECT_EQ(chair.spare.length, 1.5f);
}

TEST(EvolutionTest, MembersThatOnlyNewPayloadsHaveAreNoDangerToOldReaders) {
  after::Chair chair;
  chair.name = "chair";
  chair.tags["a"] = 1;
  Payload payload = EncodeToPayload<after::Chair>(chair);
  ASSERT_TRUE(Codec<before::Chair>::Verify(payload.bytes()).ok());
  EXPECT_EQ(Codec<before::Chair>::MakeView(payload.bytes()).name(), "chair");
}

// The whole way, with a payload of a table as an older flatc knew it.
TEST(EvolutionTest, PayloadsOfOlderTablesReadAsFlatBuffersPromises) {
  flatbuffers::Parser parser;
  ASSERT_TRUE(
      parser.Parse("namespace zoo; enum Mood:byte { Calm, Hungry }"
                   "table Animal { name:string; legs:int = 4; mood:Mood = Hungry; }"
                   "root_type Animal; file_identifier \"ZOOA\";"))
      << parser.error_;
  ASSERT_TRUE(parser.Parse(R"({ "name": "Leo" })")) << parser.error_;
  Payload payload(std::string_view(reinterpret_cast<char*>(parser.builder_.GetBufferPointer()),
                                   parser.builder_.GetSize()));
  parser.Serialize();
  Schema schema = internal::SchemaOfTable(parser.builder_.GetBufferPointer(), "zoo.Animal");
  ObjectType stored = {Codec<zoo::Animal>::Type().type_id, FingerprintOf(schema),
                       Encoding::kFlatBuffer};

  EXPECT_NE(stored, Codec<zoo::Animal>::Type());
  EXPECT_TRUE(CheckReadable(stored, Codec<zoo::Animal>::Type(), 1, payload.size()).ok());
  ASSERT_TRUE(Codec<zoo::Animal>::Verify(payload.bytes()).ok());
  const zoo::Animal* leo = Codec<zoo::Animal>::MakeView(payload.bytes());
  EXPECT_EQ(leo->name()->str(), "Leo");
  EXPECT_EQ(leo->legs(), 4);
  EXPECT_EQ(leo->mood(), zoo::Mood::Hungry);
  EXPECT_EQ(leo->weights(), nullptr);

  // The same, had the number of legs been a different number then.
  schema.types[0].fields[1].detail = "2";
  stored.fingerprint = FingerprintOf(schema);
  EXPECT_EQ(CheckReadable(stored, Codec<zoo::Animal>::Type(), 1, payload.size()).code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace spillway
