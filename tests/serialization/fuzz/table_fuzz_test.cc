#include <memory>
#include <optional>

#include "tests/serialization/fuzz/decoder_fuzz.h"
#include "tests/serialization/zoo_generated.h"

namespace spillway {

std::vector<Decoder> Decoders() {
  zoo::AnimalT cub;
  cub.name = "cub";
  cub.age = 1;
  zoo::AnimalT leo;
  leo.name = "Leo";
  leo.position = std::make_unique<zoo::Position>(1, 2, 3);
  leo.track = {zoo::Position(1, 2, 3), zoo::Position(4, 5, 6)};
  leo.weights = {1, 2};
  leo.nicknames = {"L", ""};
  leo.eats.push_back(std::make_unique<zoo::FoodT>());
  leo.young.push_back(std::make_unique<zoo::AnimalT>(cub));
  zoo::KeeperT keeper;
  keeper.name = "Eve";
  leo.visitor.Set(keeper);
  return {DecoderOf<zoo::AnimalT>({zoo::AnimalT(), cub, leo}),
          DecoderOf<std::optional<zoo::AnimalT>>({std::nullopt, leo}),
          DecoderOf<std::vector<zoo::AnimalT>>({{cub, leo}})};
}

}  // namespace spillway
