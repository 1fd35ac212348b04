/*
 * The only seam to a board. `src/loop.c` calls these; nothing else in `src/` does.
 *
 * A board brings one directory with these functions, its own `main` (set-up, then `loop_start` and `loop_turn` for ever)
 * and, where it has slots, `src/update.h`; where it has none it links `src/update_none.c`.
 * All are called from the main loop only, never from an interrupt. None blocks, but for `board_sleep`, `board_store_write`.
 */
#ifndef EDGED_BOARD_H
#define EDGED_BOARD_H

#include <stdbool.h> /* bool */
#include <stddef.h>  /* size_t */
#include <stdint.h>  /* fixed widths */

#include "pins.h" /* struct pins, struct board_facts */

/* ---- what the board is ---- */

/* Constant facts: name, capabilities, unique id, reset cause. The same at every call until the next reset. */
const struct board_facts *board_facts(void);

/* ---- time ---- */

/* Microseconds since reset; never goes back, never wraps (64 bits). */
uint64_t board_micros(void);

/*
 * Sleep (WFI) until `until_us`, or until a byte came, room for output came, or a pin changed; never longer than
 * `until_us`, earlier is fine. `until_us` may be past. A board with a tick of 1 ms may sleep from tick to tick as long
 * as it is awake 1 ms before `until_us` and spins the rest: edges of the strobe are timed by this.
 */
void board_sleep(uint64_t until_us);

/* ---- pins in ---- */

/* Read the raw levels, not debounced, as logic says (button down = true), and the slow analogue values. */
void board_read_pins(struct pins *pins);

/* ---- pins out ---- */

/* One lamp on (1…4) with 1…100 %, or all off (lamp 0). Off must work in every state, also before `loop_start`. */
void board_lamp(uint8_t lamp, uint8_t percent);

/* The strobe line. */
void board_strobe(bool up);

/* The status LED: bit 0 red, 1 green, 2 blue. `indication` is which one it belongs to (a board of software shows its name). */
void board_led(uint8_t colours, uint8_t indication);

/* The buzzer. `pattern` is which beep it belongs to, 0 for none. */
void board_buzzer(bool on, uint8_t pattern);

/* ---- the line to the host ---- */

/* Up to `room` octets that came; 0 for none. Received by interrupt into a ring of at least 512. */
size_t board_uart_read(uint8_t *to, size_t room);

/* How many octets `board_uart_write` takes now. */
size_t board_uart_room(void);

/* Queue octets for sending; `length` is at most what `board_uart_room` said. */
void board_uart_write(const uint8_t *octets, size_t length);

/* ---- safety ---- */

/* Start the watchdog (once); it resets the head, lamps off, when it isn't fed for `milliseconds`. */
void board_watchdog_start(uint32_t milliseconds);

/* Feed the watchdog. */
void board_watchdog_feed(void);

/*
 * Memory that a reset without power loss keeps (a no-init section), at least `size` octets aligned for uint64_t; its
 * first content is arbitrary. NULL when the board has none: then lamps stay off for 10 s after every such reset.
 */
void *board_retained(size_t size);

/* Restart as after a reset; `for_update` makes the next reset cause `update` where the board can tell. Returns only on a board that is a process; the caller then does nothing more. */
void board_reboot(bool for_update);

/* ---- non-volatile store: two records, written in turns, so that a power cut leaves one of them whole ---- */

enum { BOARD_STORE_RECORDS = 2, BOARD_STORE_SIZE = 64 };

/* Read record 0 or 1; true when all `length` octets were read. A record never written reads as all 0xFF, or false. */
bool board_store_read(unsigned record, uint8_t *to, size_t length);

/* Erase and write record 0 or 1; true when it is certain that it was written. At most once a minute. */
bool board_store_write(unsigned record, const uint8_t *octets, size_t length);

#endif
