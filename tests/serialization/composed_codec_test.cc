#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serialization/codec.h"
#include "serialization/type_registry.h"
#include "tests/serialization/payload.h"

namespace spillway {
namespace {

using testing::ElementsAre;
using testing::Pair;

template <typename T>
T RoundTrip(const T& value) {
  Payload payload = EncodeToPayload<T>(value);
  absl::Status verified = Codec<T>::Verify(payload.bytes());
  EXPECT_TRUE(verified.ok()) << verified;
  return Codec<T>::Decode(Codec<T>::MakeView(payload.bytes()));
}

// Encodes and hands the view to `check`.
template <typename T, typename Check>
void WithView(const T& value, Check check) {
  Payload payload = EncodeToPayload<T>(value);
  check(Codec<T>::MakeView(payload.bytes()));
}

TEST(ComposedCodecTest, OptionalsRoundTrip) {
  for (std::optional<int> value : {std::optional<int>(), std::optional<int>(0), std::optional(7)}) {
    EXPECT_EQ(RoundTrip(value), value);
  }
  EXPECT_EQ(RoundTrip(std::optional<std::string>("")), "");
  EXPECT_EQ(RoundTrip(std::optional<std::string>()), std::nullopt);
  std::optional<std::optional<int>> inner_empty{std::optional<int>()};
  EXPECT_EQ(RoundTrip(inner_empty), inner_empty);
  EXPECT_EQ(RoundTrip(std::optional<std::optional<int>>()), std::nullopt);
}

TEST(ComposedCodecTest, PairsAndTuplesRoundTrip) {
  EXPECT_EQ(RoundTrip(std::pair(1, 2.5)), std::pair(1, 2.5));
  EXPECT_EQ(RoundTrip(std::pair<std::string, bool>("a", true)),
            (std::pair<std::string, bool>("a", true)));
  auto tuple = std::tuple(int8_t{1}, std::string("two"), 3.0, std::vector<int16_t>{4, 5},
                          std::optional<float>());
  EXPECT_EQ(RoundTrip(tuple), tuple);
  EXPECT_EQ(RoundTrip(std::tuple<>()), std::tuple<>());
}

TEST(ComposedCodecTest, PairsOfScalarsTakeNoMoreThanTheirMembers) {
  std::vector<std::pair<int32_t, float>> pairs(1000, {1, 2.0f});
  EXPECT_EQ(EncodeToPayload<decltype(pairs)>(pairs).size(), 64 + 8 * 1000);
  EXPECT_EQ(RoundTrip(pairs), pairs);
}

TEST(ComposedCodecTest, StructsWithGapsLeaveNoBytesUnwritten) {
  using T = std::pair<int8_t, double>;
  Payload first = EncodeToPayload<T>(T(1, 2));
  Payload second = EncodeToPayload<T>(T(1, 2));
  EXPECT_EQ(first.ToString(), second.ToString());
  EXPECT_EQ(first.ToString().find('\xa5'), std::string::npos);
}

TEST(ComposedCodecTest, VariantsRoundTrip) {
  using V = std::variant<std::monostate, int, std::string, int, std::vector<double>>;
  for (const V& value : {V(), V(std::in_place_index<1>, 0), V(std::in_place_index<1>, 5), V("six"),
                         V(std::in_place_index<3>, 7), V(std::vector<double>{8})}) {
    V read = RoundTrip(value);
    EXPECT_EQ(read.index(), value.index());
    EXPECT_EQ(read, value);
  }
  using Nullable = std::variant<std::optional<int>, int>;
  EXPECT_EQ(RoundTrip(Nullable(std::optional<int>())), Nullable(std::optional<int>()));
  EXPECT_EQ(RoundTrip(Nullable(std::optional<int>(3))), Nullable(std::optional<int>(3)));
}

TEST(ComposedCodecTest, NestedVectorsRoundTrip) {
  std::vector<std::vector<double>> nested = {{}, {1}, {2, 3}, std::vector<double>(1000, 4)};
  EXPECT_EQ(RoundTrip(nested), nested);
  std::vector<std::vector<std::string>> strings = {{"a"}, {}, {"b", ""}};
  EXPECT_EQ(RoundTrip(strings), strings);
  std::vector<std::vector<std::vector<bool>>> deep = {{{true}, {}}, {{false, true}}};
  EXPECT_EQ(RoundTrip(deep), deep);
  std::vector<std::optional<int>> optionals = {1, std::nullopt, 3};
  EXPECT_EQ(RoundTrip(optionals), optionals);
  EXPECT_EQ(RoundTrip(std::vector<std::vector<int>>()), std::vector<std::vector<int>>());
  WithView(nested, [](VectorView<std::vector<double>> view) {
    EXPECT_THAT(view[2], ElementsAre(2, 3));
    EXPECT_EQ(view.back().size(), 1000);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(view.back().data()) % 64, 0);
  });
}

TEST(ComposedCodecTest, ArraysRoundTrip) {
  EXPECT_EQ(RoundTrip(std::array<float, 3>{1, 2, 3}), (std::array<float, 3>{1, 2, 3}));
  std::array<std::string, 2> strings = {"a", "b"};
  EXPECT_EQ(RoundTrip(std::pair(strings, 1)).first, strings);
  std::vector<std::array<int, 2>> points = {{1, 2}, {3, 4}};
  EXPECT_EQ(RoundTrip(points), points);
  std::array<double, 1000> large{};
  large[999] = 1;
  EXPECT_EQ(RoundTrip(large), large);
  std::array<std::pair<int8_t, int>, 2> pairs = {{{1, 2}, {3, 4}}};
  EXPECT_EQ(RoundTrip(pairs), pairs);
}

TEST(ComposedCodecTest, MapsRoundTripAndCanBeSearchedInPlace) {
  std::map<std::string, double> map = {{"one", 1}, {"two", 2}, {"three", 3}};
  EXPECT_EQ(RoundTrip(map), map);
  WithView(map, [](MapView<std::string, double> view) {
    EXPECT_THAT(view, ElementsAre(Pair("one", 1), Pair("three", 3), Pair("two", 2)));
    EXPECT_EQ((*view.find("two")).second, 2);
    EXPECT_FALSE(view.contains("four"));
    EXPECT_FALSE(view.contains(""));
    EXPECT_THAT(view.values(), ElementsAre(1, 3, 2));
  });
  std::unordered_map<int, std::vector<double>> unordered;
  for (int i = 0; i < 100; ++i) unordered[i * 37 % 101] = std::vector<double>(i % 3, i);
  EXPECT_EQ(RoundTrip(unordered), unordered);
  WithView(unordered, [&](const auto& view) {
    for (const auto& [key, value] : unordered) {
      EXPECT_EQ((*view.find(key)).second.size(), value.size());
    }
  });
  std::map<int, std::array<float, 2>> arrays = {{1, {2, 3}}, {4, {5, 6}}};
  EXPECT_EQ(RoundTrip(arrays), arrays);
  absl::flat_hash_map<std::string, std::map<int, bool>> nested = {{"a", {{1, true}}}, {"b", {}}};
  EXPECT_EQ(RoundTrip(nested), nested);
  std::map<int, int, std::greater<>> backwards = {{1, 2}, {3, 4}};
  EXPECT_EQ(RoundTrip(backwards), backwards);
  std::map<std::pair<int, int>, int> composite = {{{1, 2}, 3}, {{0, 9}, 4}};
  EXPECT_EQ(RoundTrip(composite), composite);
  EXPECT_TRUE((RoundTrip(std::map<int, int>()).empty()));
}

TEST(ComposedCodecTest, EqualUnorderedMapsHaveEqualPayloads) {
  std::unordered_map<int, std::string> one, other;
  other.reserve(10000);
  for (int i = 0; i < 50; ++i) one[i] = other[49 - i] = "";
  for (int i = 0; i < 50; ++i) one[i] = other[i] = std::string(i, 'x');
  using M = decltype(one);
  EXPECT_EQ(EncodeToPayload<M>(one).ToString(), EncodeToPayload<M>(other).ToString());
}

TEST(ComposedCodecTest, MapsOfEveryKindAreOneType) {
  EXPECT_EQ((Codec<std::map<int, float>>::Type()), (Codec<std::unordered_map<int, float>>::Type()));
  EXPECT_EQ((Codec<std::map<int, float>>::TypeName()), "map<int32,float>");
}

TEST(ComposedCodecTest, TypesAreNamedByTheirShape) {
  using T = std::tuple<std::optional<std::vector<std::string>>,
                       std::variant<int, std::pair<bool, char>>, std::array<uint8_t, 4>>;
  EXPECT_EQ(Codec<T>::TypeName(),
            "tuple<optional<vector<string>>,variant<int32,pair<bool,char>>,array<uint8,4>>");
}

}  // namespace
}  // namespace spillway
