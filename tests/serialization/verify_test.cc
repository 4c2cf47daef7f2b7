// What Verify says about payloads that nobody should trust.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "flatbuffers/flatbuffers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serialization/object.h"
#include "tests/serialization/payload.h"
#include "tests/serialization/zoo_generated.h"

namespace verified {

struct Nested {
  int32_t value = 0;
  std::vector<Nested> inner;
};

}  // namespace verified

SPILLWAY_OBJECT(verified::Nested, value, inner)

namespace spillway {
namespace {

using testing::HasSubstr;

template <typename T>
std::string ErrorOf(std::string_view bytes, const VerifyLimits& limits = {}) {
  Payload payload(bytes);
  absl::Status status = Codec<T>::Verify(payload.bytes(), limits);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << Codec<T>::TypeName();
  return std::string(status.message());
}

// The bytes with the 32 bits at `at` replaced.
std::string With(std::string bytes, size_t at, uint32_t value) {
  internal::Store(bytes.data() + at, value);
  return bytes;
}

template <typename T>
std::string BytesOf(const T& value) {
  return EncodeToPayload<T>(value).ToString();
}

TEST(VerifyTest, ErrorsSayWhatIsWrongAndWhere) {
  std::string bytes = BytesOf(std::vector<double>{1, 2});
  EXPECT_EQ(ErrorOf<std::vector<double>>(With(bytes, 20, 3)),
            "payload of 40 bytes is not a valid vector<double>: the vector at byte 20 would have 3 "
            "elements of 8 bytes, more than there are");
  EXPECT_EQ(ErrorOf<std::vector<double>>(With(bytes, 0, 400)),
            "payload of 40 bytes is not a valid vector<double>: the offset at byte 0 is 400, which "
            "leads out of it");
  EXPECT_EQ(ErrorOf<std::string>("abc"),
            "payload of 3 bytes is not a valid string: it is too short for a root offset");
}

TEST(VerifyTest, EmptyPayloadsAreNoFlatBuffers) {
  EXPECT_THAT(ErrorOf<int>(""), HasSubstr("too short"));
  EXPECT_THAT(ErrorOf<std::vector<int>>(""), HasSubstr("too short"));
  EXPECT_THAT(ErrorOf<std::optional<int>>(""), HasSubstr("too short"));
  EXPECT_THAT(ErrorOf<zoo::Animal>(""), HasSubstr("too short"));
  EXPECT_TRUE(Codec<RawBytes>::Verify({}).ok());
}

TEST(VerifyTest, CountsAndOffsetsDoNotWrapAround) {
  std::string bytes = BytesOf(std::vector<uint64_t>{1, 2});
  for (uint32_t count : {0x20000000u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
    EXPECT_THAT(ErrorOf<std::vector<uint64_t>>(With(bytes, 20, count)), HasSubstr("elements of 8"));
  }
  for (uint32_t offset : {0u, 0x7ffffff0u, 0xfffffff0u, 0xffffffffu}) {
    EXPECT_THAT(ErrorOf<std::vector<uint64_t>>(With(bytes, 16, offset)), HasSubstr("leads out"));
    EXPECT_THAT(ErrorOf<std::vector<uint64_t>>(With(bytes, 0, offset)), HasSubstr("leads out"));
  }
  // The offset to the vtable has a sign.
  for (uint32_t vtable : {0x80000000u, 0x7fffffffu, 100u, static_cast<uint32_t>(-100)}) {
    EXPECT_THAT(ErrorOf<std::vector<uint64_t>>(With(bytes, 12, vtable)), HasSubstr("vtable"));
  }
}

TEST(VerifyTest, PayloadsInMisalignedMemoryAreRefused) {
  std::string bytes = BytesOf(std::vector<double>{1, 2});
  Payload room(std::string(bytes.size() + 64, '\0'));
  for (size_t shift : {1, 4, 8}) {
    std::memcpy(room.mutable_bytes().data() + shift, bytes.data(), bytes.size());
    absl::Status status =
        Codec<std::vector<double>>::Verify(room.bytes().subspan(shift, bytes.size()));
    EXPECT_THAT(std::string(status.message()), HasSubstr("does not start at a multiple of 16"));
  }
}

TEST(VerifyTest, MisalignedElementsAreRefused) {
  // The vector starts where this one has its first element.
  std::string shifted = With(BytesOf(std::vector<uint32_t>{2, 0, 0, 0, 0}), 16, 8);
  EXPECT_THAT(ErrorOf<std::vector<double>>(shifted), HasSubstr("not aligned to 8"));
}

TEST(VerifyTest, StringsEndWithNul) {
  std::string bytes = BytesOf(std::string(200, 'x'));
  bytes.back() = 'x';
  EXPECT_THAT(ErrorOf<std::string>(bytes), HasSubstr("not ended by a NUL"));
  bytes.pop_back();
  EXPECT_THAT(ErrorOf<std::string>(bytes), HasSubstr("not ended by a NUL"));
}

TEST(VerifyTest, OtherBytesThanZeroAndOneAreNoBools) {
  std::string bytes = BytesOf(std::vector<bool>{true, false});
  bytes.back() = 2;
  EXPECT_THAT(ErrorOf<std::vector<bool>>(bytes), HasSubstr("neither 0 nor 1"));
  bytes = BytesOf(true);
  bytes.back() = 2;
  EXPECT_THAT(ErrorOf<bool>(bytes), HasSubstr("neither 0 nor 1"));
  using Pairs = std::vector<std::pair<bool, int>>;
  bytes = BytesOf(Pairs{{true, 7}});
  bytes[24] = -1;
  EXPECT_THAT(ErrorOf<Pairs>(bytes), HasSubstr("neither 0 nor 1"));
}

TEST(VerifyTest, WhatOneTypeHoldsIsNotAnother) {
  std::string bytes = BytesOf(std::string("not a vector of doubles"));
  EXPECT_FALSE(Codec<std::vector<std::string>>::Verify(Payload(bytes).bytes()).ok());
  EXPECT_FALSE(Codec<zoo::Animal>::Verify(Payload(bytes).bytes()).ok());
}

TEST(VerifyTest, MapsHaveOrderedKeysAndAsManyValues) {
  using M = std::map<int, int8_t>;
  std::string bytes = BytesOf(M{{1, 2}, {3, 4}});
  size_t keys = bytes.find(std::string("\2\0\0\0\1\0\0\0\3\0\0\0", 12));
  ASSERT_NE(keys, std::string::npos);
  EXPECT_THAT(ErrorOf<M>(With(bytes, keys + 4, 9)), HasSubstr("keys of a map are not in order"));
  EXPECT_THAT(ErrorOf<M>(With(bytes, keys + 4, 3)), HasSubstr("keys of a map are not in order"));
  EXPECT_THAT(ErrorOf<M>(With(bytes, keys, 1)), HasSubstr("a map has 1 keys and 2 values"));
}

TEST(VerifyTest, VariantsHoldOneOfTheirAlternatives) {
  using V = std::variant<int, std::string>;
  std::string bytes = BytesOf(V("text"));
  size_t index = bytes.find('\1', 20);
  bytes[index] = 2;
  EXPECT_THAT(ErrorOf<V>(bytes), HasSubstr("a variant of 2 alternatives has index 2"));
}

TEST(VerifyTest, ArraysHaveTheirLength) {
  using A = std::array<std::string, 2>;
  std::string bytes = BytesOf(std::pair<A, int>({"a", "b"}, 1));
  size_t count = bytes.find(std::string("\2\0\0\0", 4));
  std::string changed = With(bytes, count, 1);
  EXPECT_THAT((ErrorOf<std::pair<A, int>>(changed)), HasSubstr("an array of 2 elements has 1"));
}

verified::Nested Deep(int depth) {
  verified::Nested outer;
  for (int i = 1; i < depth; ++i) {
    verified::Nested next;
    next.inner.push_back(std::move(outer));
    outer = std::move(next);
  }
  return outer;
}

TEST(VerifyTest, DepthIsLimited) {
  EXPECT_TRUE(
      Codec<verified::Nested>::Verify(EncodeToPayload<verified::Nested>(Deep(64)).bytes()).ok());
  std::string deep = BytesOf(Deep(65));
  EXPECT_THAT(ErrorOf<verified::Nested>(deep), HasSubstr("nested deeper than the limit of 64"));
  VerifyLimits limits;
  limits.max_depth = 65;
  EXPECT_TRUE(Codec<verified::Nested>::Verify(Payload(deep).bytes(), limits).ok());
  limits.max_depth = 10;
  EXPECT_THAT(ErrorOf<verified::Nested>(BytesOf(Deep(11)), limits), HasSubstr("limit of 10"));
}

// A table that holds one vector, all of whose elements are the table of the next level: 2^levels
// visits.
std::string Bomb(int levels, int fan_out) {
  flatbuffers::FlatBufferBuilder builder;
  auto add = [&](flatbuffers::uoffset_t inner) {
    flatbuffers::uoffset_t start = builder.StartTable();
    if (inner != 0) builder.AddOffset(6, flatbuffers::Offset<void>(inner));
    return builder.EndTable(start);
  };
  flatbuffers::uoffset_t table = add(0);
  for (int i = 0; i < levels; ++i) {
    std::vector<flatbuffers::Offset<void>> same(static_cast<size_t>(fan_out),
                                                flatbuffers::Offset<void>(table));
    table = add(builder.CreateVector(same).o);
  }
  builder.Finish(flatbuffers::Offset<verified::Nested>(table));
  return std::string(reinterpret_cast<char*>(builder.GetBufferPointer()), builder.GetSize());
}

TEST(VerifyTest, PartsThatAreSharedToCostTimeAreRefused) {
  EXPECT_TRUE(Codec<verified::Nested>::Verify(Payload(Bomb(3, 2)).bytes()).ok());
  EXPECT_THAT(ErrorOf<verified::Nested>(Bomb(60, 2)), HasSubstr("more visits than the limit"));
}

TEST(VerifyTest, PartsThatAreSharedToCostMemoryAreRefused) {
  // Many references to one long string.
  flatbuffers::FlatBufferBuilder builder;
  auto text = builder.CreateString(std::string(100000, 'x'));
  std::vector<flatbuffers::Offset<flatbuffers::String>> same(1000, text);
  auto vector = builder.CreateVector(same);
  flatbuffers::uoffset_t start = builder.StartTable();
  builder.AddOffset(4, vector);
  builder.Finish(flatbuffers::Offset<flatbuffers::Table>(builder.EndTable(start)));
  std::string bytes(reinterpret_cast<char*>(builder.GetBufferPointer()), builder.GetSize());
  EXPECT_THAT(ErrorOf<std::vector<std::string>>(bytes), HasSubstr("expand beyond the limit"));
  VerifyLimits limits;
  limits.max_expansion = 1000;
  Payload payload(bytes);
  EXPECT_TRUE(Codec<std::vector<std::string>>::Verify(payload.bytes(), limits).ok());
}

TEST(VerifyTest, HonestPayloadsWithVeryManyPartsAreAccepted) {
  std::vector<std::optional<int8_t>> many(1000000, 1);
  Payload payload = EncodeToPayload<decltype(many)>(many);
  absl::Status status = Codec<decltype(many)>::Verify(payload.bytes());
  EXPECT_TRUE(status.ok()) << status;
}

TEST(VerifyTest, TablesAreHeldToTheirLimitsToo) {
  zoo::AnimalT animal;
  for (int i = 0; i < 70; ++i) {
    zoo::AnimalT parent;
    parent.young.push_back(std::make_unique<zoo::AnimalT>(animal));
    animal = parent;
  }
  EXPECT_THAT(ErrorOf<zoo::Animal>(BytesOf(animal)),
              HasSubstr("nested deeper than the limit of 64"));
  VerifyLimits limits;
  limits.max_depth = 100;
  EXPECT_TRUE(
      Codec<zoo::Animal>::Verify(EncodeToPayload<zoo::AnimalT>(animal).bytes(), limits).ok());
}

TEST(VerifyTest, WrongFileIdentifiersAreRefused) {
  std::string bytes = BytesOf(zoo::AnimalT());
  EXPECT_EQ(ErrorOf<zoo::Animal>(With(bytes, 4, 0x41424344)),
            absl::StrCat("payload of ", bytes.size(),
                         " bytes is not a valid zoo.Animal: it does not have "
                         "the file identifier \"ZOOA\" but \"DCBA\""));
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(zoo::CreateAnimal(builder));
  EXPECT_EQ(Codec<zoo::Animal>::EncodedSize(builder).status().code(),
            absl::StatusCode::kInvalidArgument);
  // A schema's identifier is that of its root alone.
  builder.Clear();
  builder.Finish(zoo::CreateFood(builder));
  EXPECT_TRUE(Codec<zoo::Food>::EncodedSize(builder).ok());
  EXPECT_STREQ(Codec<zoo::Animal>::FileIdentifier(), "ZOOA");
  EXPECT_EQ(Codec<zoo::Food>::FileIdentifier(), nullptr);
}

TEST(VerifyTest, UnionsThatHoldNothingAreRefused) {
  flatbuffers::FlatBufferBuilder builder;
  zoo::AnimalBuilder animal(builder);
  animal.add_visitor_type(zoo::Visitor::Keeper);
  builder.Finish(animal.Finish(), zoo::AnimalIdentifier());
  std::string bytes(reinterpret_cast<char*>(builder.GetBufferPointer()), builder.GetSize());
  EXPECT_THAT(ErrorOf<zoo::Animal>(bytes), HasSubstr("the union visitor of the table at byte"));
}

TEST(VerifyTest, RequiredFieldsAreRequired) {
  flatbuffers::FlatBufferBuilder builder;
  flatbuffers::uoffset_t start = builder.StartTable();
  builder.Finish(flatbuffers::Offset<zoo::Keeper>(builder.EndTable(start)));
  std::string bytes(reinterpret_cast<char*>(builder.GetBufferPointer()), builder.GetSize());
  EXPECT_THAT(ErrorOf<zoo::Keeper>(bytes), HasSubstr("the required field name"));
}

TEST(VerifyTest, PayloadsThatOtherWritersLaidOutDifferentlyAreRead) {
  // FlatBuffers' own builder writes back to front, and drops what has its default.
  flatbuffers::FlatBufferBuilder builder;
  auto text = builder.CreateString("text");
  flatbuffers::uoffset_t start = builder.StartTable();
  builder.AddOffset(4, text);
  builder.Finish(flatbuffers::Offset<flatbuffers::Table>(builder.EndTable(start)));
  Payload payload(
      std::string_view(reinterpret_cast<char*>(builder.GetBufferPointer()), builder.GetSize()));
  EXPECT_TRUE(Codec<std::string>::Verify(payload.bytes()).ok());
  EXPECT_EQ(Codec<std::string>::MakeView(payload.bytes()), "text");

  builder.Clear();
  start = builder.StartTable();
  builder.Finish(flatbuffers::Offset<flatbuffers::Table>(builder.EndTable(start)));
  Payload empty(
      std::string_view(reinterpret_cast<char*>(builder.GetBufferPointer()), builder.GetSize()));
  ASSERT_EQ(empty.size(), 12);
  EXPECT_TRUE(Codec<std::string>::Verify(empty.bytes()).ok());
  EXPECT_EQ(Codec<std::string>::MakeView(empty.bytes()), "");
  EXPECT_EQ(Codec<int>::MakeView(empty.bytes()), 0);
  EXPECT_TRUE(Codec<std::vector<double>>::MakeView(empty.bytes()).empty());
  EXPECT_TRUE(Codec<std::vector<std::string>>::MakeView(empty.bytes()).empty());
  EXPECT_EQ(Codec<std::optional<int>>::MakeView(empty.bytes()), std::nullopt);
  EXPECT_TRUE((Codec<std::map<int, int>>::MakeView(empty.bytes()).empty()));
  EXPECT_EQ((std::get<0>(Codec<std::variant<int, bool>>::MakeView(empty.bytes()))), 0);
}

}  // namespace
}  // namespace spillway
