/* This firmware's own version (WELCOME). */
#ifndef EDGED_VERSION_H
#define EDGED_VERSION_H

/* As it stands in WELCOME and in an image's header: major (1), minor (1), patch (2, little-endian). */
#ifndef FIRMWARE_MAJOR
#define FIRMWARE_MAJOR 1U
#define FIRMWARE_MINOR 0U
#define FIRMWARE_PATCH 0U
#endif

/* Anti-rollback counter of an image that is in no slot. */
#ifndef FIRMWARE_SECURITY_VERSION
#define FIRMWARE_SECURITY_VERSION 1UL
#endif

#endif
