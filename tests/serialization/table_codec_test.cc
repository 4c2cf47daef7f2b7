#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serialization/codec.h"
#include "tests/serialization/payload.h"
#include "tests/serialization/zoo_generated.h"

namespace spillway {
namespace {

flatbuffers::DetachedBuffer Leo() {
  zoo::AnimalT leo;
  leo.name = "Leo";
  leo.mood = zoo::Mood::Cross;
  leo.weights = {1.5, 2.5};
  leo.position = std::make_unique<zoo::Position>(1, 2, 3);
  leo.eats.push_back(std::make_unique<zoo::FoodT>());
  leo.eats[0]->name = "zebra";
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(zoo::Animal::Pack(builder, &leo), zoo::AnimalIdentifier());
  return builder.Release();
}

TEST(TableCodecTest, AFinishedBufferIsStoredAsItIs) {
  flatbuffers::DetachedBuffer buffer = Leo();
  Payload payload = EncodeToPayload<zoo::Animal>(buffer);
  EXPECT_EQ(payload.ToString(),
            std::string(reinterpret_cast<const char*>(buffer.data()), buffer.size()));
  EXPECT_TRUE(Codec<zoo::Animal>::Verify(payload.bytes()).ok());
  const zoo::Animal* view = Codec<zoo::Animal>::MakeView(payload.bytes());
  EXPECT_EQ(view->name()->string_view(), "Leo");
  EXPECT_EQ(view->weights()->Get(1), 2.5);
  EXPECT_EQ(view->eats()->Get(0)->grams(), 100);
}

TEST(TableCodecTest, ABuilderCanBeStoredWithoutReleasingIt) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(zoo::CreateFoodDirect(builder, "hay", 7));
  Payload payload = EncodeToPayload<zoo::Food>(builder);
  EXPECT_EQ(Codec<zoo::Food>::MakeView(payload.bytes())->grams(), 7);
}

TEST(TableCodecTest, DecodesToTheObjectApi) {
  Payload payload = EncodeToPayload<zoo::Animal>(Leo());
  zoo::AnimalT leo = Codec<zoo::Animal>::Decode(Codec<zoo::Animal>::MakeView(payload.bytes()));
  EXPECT_EQ(leo.eats[0]->name, "zebra");
  EXPECT_EQ(leo.position->floor(), 3);
}

TEST(TableCodecTest, IsNamedAsTheSchemaNamesIt) {
  EXPECT_EQ(Codec<zoo::Animal>::TypeName(), "zoo.Animal");
  EXPECT_EQ(Codec<zoo::Animal>::Type().type_id, internal::TypeIdOf("zoo.Animal"));
  EXPECT_EQ(Codec<zoo::Animal>::Type().encoding, Encoding::kFlatBuffer);
}

TEST(TableCodecTest, EmptyBuffersAreRefused) {
  flatbuffers::DetachedBuffer nothing;
  absl::StatusOr<size_t> size = Codec<zoo::Animal>::EncodedSize(nothing);
  EXPECT_EQ(size.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(TableCodecTest, EveryTruncationOfAPayloadIsRefusedOrSafe) {
  std::string whole = EncodeToPayload<zoo::Animal>(Leo()).ToString();
  for (size_t length = 0; length < whole.size(); ++length) {
    Payload payload(whole.substr(0, length));
    if (Codec<zoo::Animal>::Verify(payload.bytes()).ok()) {
      Codec<zoo::Animal>::Decode(Codec<zoo::Animal>::MakeView(payload.bytes()));
    }
  }
  EXPECT_EQ(Codec<zoo::Animal>::Verify(Payload(whole.substr(0, 40)).bytes()).code(),
            absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace spillway
