// SPDX-License-Identifier: MIT
// replay_main.cpp - runs a fuzz target on kept inputs and on every prefix of each, without libFuzzer and with
// any compiler. Arguments: directories. The first is the corpus, and must not be empty.
#include <fuzz/laws.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size);

namespace {

std::vector<std::filesystem::path> files_in(std::filesystem::path const& directory) {
  std::vector<std::filesystem::path> files;
  if (!exists(directory)) return files;
  for (auto const& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::size_t replay(std::filesystem::path const& file) {
  std::ifstream in(file, std::ios::binary);
  std::string bytes(std::filesystem::file_size(file), '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!in) throw std::runtime_error("cannot read " + file.string());
  // The whole first: it is what has once been wrong.
  for (std::size_t n = bytes.size() + 1; n-- != 0;) {
    fuzz::now_running = file.string() + ", its first " + std::to_string(n) + " bytes";
    std::vector<std::uint8_t> const exactly(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    LLVMFuzzerTestOneInput(exactly.data(), n);
  }
  return bytes.size() + 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t files = 0;
  std::size_t inputs = 0;
  for (int i = 1; i < argc; ++i) {
    auto const found = files_in(argv[i]);
    if (i == 1 && found.empty()) {
      std::cerr << argv[i] << " is empty: this is a failure\n";
      return 1;
    }
    for (auto const& file : found) {
      std::cout << file.filename().string() << std::endl;  // where a sanitizer has ended it
      inputs += replay(file);
    }
    files += found.size();
  }
  std::cout << files << " files, " << inputs << " inputs\n";
  return 0;
}
