# SPDX-License-Identifier: MIT
# Installs headers, licence, CMake package and pkg-config file. Header-only: nothing goes into lib/.
include(CMakePackageConfigHelpers)

install(TARGETS ssewire EXPORT ssewire)
install(DIRECTORY include/ssewire DESTINATION include FILES_MATCHING PATTERN "*.hpp")
install(FILES LICENSE DESTINATION share/licenses/ssewire)

install(EXPORT ssewire NAMESPACE ssewire:: FILE ssewire-targets.cmake DESTINATION share/cmake/ssewire)
configure_package_config_file(cmake/ssewire-config.cmake.in ssewire-config.cmake
                              INSTALL_DESTINATION share/cmake/ssewire NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(ssewire-config-version.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/ssewire-config.cmake"
              "${CMAKE_CURRENT_BINARY_DIR}/ssewire-config-version.cmake" DESTINATION share/cmake/ssewire)

configure_file(cmake/ssewire.pc.in ssewire.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/ssewire.pc" DESTINATION share/pkgconfig)
