#include "serialization/object.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serialization/type_registry.h"
#include "tests/serialization/payload.h"

namespace geo {

enum class Kind : uint8_t { kCity, kPeak };

struct Point {
  double x = 0;
  double y = 0;

  friend bool operator==(const Point&, const Point&) = default;
};

// Has gaps between its members.
struct Pixel {
  Point at;
  bool lit = false;
  float colour[3] = {};
  std::array<int16_t, 2> box = {};
  Kind kind = Kind::kCity;

  bool operator==(const Pixel& other) const {
    return at == other.at && lit == other.lit && std::equal(colour, colour + 3, other.colour) &&
           box == other.box && kind == other.kind;
  }
};

struct Place {
  std::string name;
  Point at;
  std::optional<int> height;
  std::vector<Point> outline;
  Kind kind = Kind::kPeak;
  std::map<std::string, std::vector<std::string>> names;
  int64_t visits = 17;

  friend bool operator==(const Place&, const Place&) = default;
};

// Contains itself.
struct Tree {
  int value = 0;
  std::vector<Tree> children;
  std::optional<std::string> label;

  friend bool operator==(const Tree&, const Tree&) = default;
};

// Scalars only, but a table.
struct Settings {
  int width = 80;
  bool wrap = true;
  int scratch = 0;  // not stored

  friend bool operator==(const Settings&, const Settings&) = default;
};

struct Reversed {
  int32_t second;
  int32_t first;
};

}  // namespace geo

SPILLWAY_OBJECT(geo::Point, x, y)
SPILLWAY_OBJECT(geo::Pixel, at, lit, colour, box, kind)
SPILLWAY_OBJECT(geo::Place, name, at, height, outline, kind, names, visits)
SPILLWAY_OBJECT(geo::Tree, value, children, label)
SPILLWAY_OBJECT(geo::Reversed, first, second)
SPILLWAY_TABLE(geo::Settings, width, wrap)

namespace spillway {
namespace {

template <typename T>
T RoundTrip(const T& value) {
  Payload payload = EncodeToPayload<T>(value);
  absl::Status verified = Codec<T>::Verify(payload.bytes());
  EXPECT_TRUE(verified.ok()) << verified;
  return Codec<T>::Decode(Codec<T>::MakeView(payload.bytes()));
}

geo::Place Matterhorn() {
  return {.name = "Matterhorn",
          .at = {45.97, 7.65},
          .height = 4478,
          .outline = {{1, 2}, {3, 4}},
          .kind = geo::Kind::kPeak,
          .names = {{"it", {"Cervino"}}, {"fr", {"Cervin", "Le Cervin"}}},
          .visits = -1};
}

TEST(ObjectTest, StructsOfScalarsAreViewedInPlace) {
  static_assert(std::is_same_v<ViewOf<geo::Point>, const geo::Point*>);
  static_assert(std::is_same_v<ViewOf<std::vector<geo::Point>>, absl::Span<const geo::Point>>);
  EXPECT_EQ(RoundTrip(geo::Point{1, 2}), (geo::Point{1, 2}));
  std::vector<geo::Point> points(1000, {3, 4});
  EXPECT_EQ(EncodeToPayload<std::vector<geo::Point>>(points).size(), 64 + 16 * 1000);
  EXPECT_EQ(RoundTrip(points), points);
  EXPECT_EQ(DecodedFrom(absl::MakeConstSpan(points)), points);
  EXPECT_EQ(DecodedFrom(std::array<geo::Point, 2>{}), std::vector<geo::Point>(2));
}

TEST(ObjectTest, GapsInStructsDoNotLeak) {
  alignas(geo::Pixel) char dirty[2][sizeof(geo::Pixel)];
  std::memset(dirty[0], 0x11, sizeof dirty[0]);
  std::memset(dirty[1], 0x22, sizeof dirty[1]);
  std::string payloads[2];
  for (int i = 0; i < 2; ++i) {
    auto* pixel = new (dirty[i]) geo::Pixel;
    pixel->lit = true;
    absl::Span<const geo::Pixel> one(pixel, 1);
    payloads[i] = EncodeToPayload<std::vector<geo::Pixel>>(one).ToString() +
                  EncodeToPayload<geo::Pixel>(*pixel).ToString() +
                  EncodeToPayload<std::optional<geo::Pixel>>(std::optional(*pixel)).ToString();
    EXPECT_EQ(RoundTrip(*pixel), *pixel);
  }
  EXPECT_EQ(payloads[0], payloads[1]);
  EXPECT_EQ(payloads[0].find('\x11'), std::string::npos);
}

TEST(ObjectTest, OtherStructsAreViewedMemberByMember) {
  geo::Place place = Matterhorn();
  Payload payload = EncodeToPayload<geo::Place>(place);
  ViewOf<geo::Place> view = Codec<geo::Place>::MakeView(payload.bytes());
  EXPECT_EQ(view.name(), "Matterhorn");
  EXPECT_EQ(view.at()->x, 45.97);
  EXPECT_EQ(view.height(), 4478);
  EXPECT_EQ(view.outline()[1], (geo::Point{3, 4}));
  EXPECT_EQ(view.kind(), geo::Kind::kPeak);
  EXPECT_EQ((*view.names().find("fr")).second[1], "Le Cervin");
  EXPECT_EQ(view.visits(), -1);
  EXPECT_EQ(RoundTrip(place), place);
  EXPECT_EQ(RoundTrip(geo::Place()), geo::Place());
}

TEST(ObjectTest, StructsMayContainThemselves) {
  geo::Tree tree{1, {{2, {}, "leaf"}, {3, {{4, {}, {}}}, {}}}, {}};
  EXPECT_EQ(RoundTrip(tree), tree);
  EXPECT_EQ(RoundTrip(std::vector<geo::Tree>(3, tree)), std::vector<geo::Tree>(3, tree));
  EXPECT_EQ(SchemaText("geo.Tree").value(),
            "namespace geo;\n\n"
            "table Tree {\n  value:int;\n  children:[geo.Tree];\n  label:string;\n}\n\n"
            "root_type geo.Tree;\n");
}

TEST(ObjectTest, TablesStoreOnlyTheMembersThatAreNamed) {
  geo::Settings read = RoundTrip(geo::Settings{100, false, 5});
  EXPECT_EQ(read, (geo::Settings{100, false, 0}));
}

TEST(ObjectTest, MembersInAnotherOrderMakeATable) {
  geo::Reversed read = RoundTrip(geo::Reversed{1, 2});
  EXPECT_EQ(read.first, 2);
  EXPECT_EQ(read.second, 1);
  EXPECT_EQ(Codec<geo::Reversed>::MakeView(EncodeToPayload<geo::Reversed>(read).bytes()).first(),
            2);
}

TEST(ObjectTest, EqualTablesShareOneVTable) {
  size_t one = EncodeToPayload<std::vector<geo::Place>>(std::vector<geo::Place>(1)).size();
  size_t two = EncodeToPayload<std::vector<geo::Place>>(std::vector<geo::Place>(2)).size();
  size_t three = EncodeToPayload<std::vector<geo::Place>>(std::vector<geo::Place>(3)).size();
  EXPECT_LE(three - two, 88);
  EXPECT_LE(two - one, 88);
}

TEST(ObjectTest, StructsAreKnownFromTheStart) {
  EXPECT_THAT(RegisteredTypes(),
              testing::IsSupersetOf({"geo.Point", "geo.Place", "vector<double>"}));
  EXPECT_EQ(SchemaText("geo.Pixel").value(),
            "namespace geo;\n\n"
            "struct Point {\n  x:double;\n  y:double;\n}\n\n"
            "namespace spillway.types;\n\n"
            "struct Array3OfFloat {\n  value:[float:3];\n}\n\n"
            "struct Array2OfInt16 {\n  value:[short:2];\n}\n\n"
            "namespace geo;\n\n"
            "struct Pixel {\n  at:geo.Point;\n  lit:bool;\n  colour:spillway.types.Array3OfFloat;\n"
            "  box:spillway.types.Array2OfInt16;\n  kind:ubyte;\n}\n\n"
            "namespace spillway.types;\n\n"
            "table geo_PixelObject {\n  value:geo.Pixel;\n}\n\n"
            "root_type spillway.types.geo_PixelObject;\n");
}

}  // namespace
}  // namespace spillway
