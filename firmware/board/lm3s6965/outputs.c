/*
 * Port D: 0 white, 1 IR 850, 2 UV 365, 3 strobe, 4 buzzer, 5 red, 6 green, 7 blue; high is on. A head of this board has no
 * second infrared. Lamps are dimmed by a timer at 1 kHz: the pins of port D have no PWM.
 */

#include "outputs.h"

#include "board.h"     /* board_lamp, board_strobe, board_led, board_buzzer */
#include "clock.h"     /* clock_ticks, clock_prepare_timer */
#include "critical.h"  /* critical_enter, critical_leave */
#include "registers.h" /* GPIO_…, TIMER_… */
#include "vectors.h"   /* on_timer0 */

#define WHITE 0x01U
#define IR_850 0x02U
#define UV_365 0x04U
#define LAMPS 0x07U
#define STROBE 0x08U
#define BUZZER 0x10U
#define LED_SHIFT 5U
#define LED 0xE0U

enum { PERIOD_US = 1000 };

static volatile uint32_t lit; /* the lamp's pin; 0 for none */
static uint32_t on_us;        /* of a period; PERIOD_US for always */

/* Low by the pins' reset, and by a resistor before it. */
void outputs_start(void) {
    SYSCTL_RCGC2 |= 1U << 3;
    (void)SYSCTL_RCGC2;
    GPIO_DATA(GPIO_D, 0xFFU) = 0;
    GPIO_DIR(GPIO_D) = 0xFF;
    GPIO_DEN(GPIO_D) = 0xFF;
    clock_prepare_timer(TIMER_0, TIMER_ONE_SHOT, IRQ_TIMER_0, 1);
}

/* First what is dangerous, then what keeps it from coming back. */
void outputs_all_off(void) {
    lit = 0;
    GPIO_DATA(GPIO_D, LAMPS | STROBE | BUZZER) = 0;
    TIMER_CTL(TIMER_0) = 0;
}

/* Turn the lamp's pin and come back when it has to be turned again. */
static void half_period(bool on) {
    GPIO_DATA(GPIO_D, LAMPS) = on ? lit : 0;
    TIMER_TAILR(TIMER_0) = clock_ticks(on ? on_us : PERIOD_US - on_us);
    TIMER_CTL(TIMER_0) = TIMER_ENABLE;
}

/* The lamp is dimmed. It may have been switched off while this interrupt waited. */
void on_timer0(void) {
    TIMER_ICR(TIMER_0) = TIMER_TIMEOUT;
    if (lit != 0 && on_us < PERIOD_US) {
        half_period(GPIO_DATA(GPIO_D, LAMPS) == 0);
    }
}

/* Lamp numbers of PROTOCOL.md; a lamp that this board hasn't is none. */
static uint32_t pin_of(uint8_t lamp) {
    static const uint8_t pins[] = {0, WHITE, IR_850, 0, UV_365};
    return lamp < sizeof pins ? pins[lamp] : 0;
}

void board_lamp(uint8_t lamp, uint8_t percent) {
    const uint32_t pin = pin_of(lamp);
    const uint32_t on = percent >= 100 ? PERIOD_US : (uint32_t)percent * (PERIOD_US / 100);
    const uint32_t mask = critical_enter();
    if (pin != lit || on != on_us || pin == 0) {
        TIMER_CTL(TIMER_0) = 0;
        TIMER_ICR(TIMER_0) = TIMER_TIMEOUT;
        lit = on == 0 ? 0 : pin;
        on_us = on;
        GPIO_DATA(GPIO_D, LAMPS) = lit;
        if (lit != 0 && on < PERIOD_US) {
            half_period(true);
        }
    }
    critical_leave(mask);
}

void board_strobe(bool up) {
    GPIO_DATA(GPIO_D, STROBE) = up ? STROBE : 0;
}

void board_led(uint8_t colours, uint8_t indication) {
    (void)indication; /* the pins show colours alone */
    GPIO_DATA(GPIO_D, LED) = ((uint32_t)colours << LED_SHIFT) & LED;
}

void board_buzzer(bool on, uint8_t pattern) {
    (void)pattern;
    GPIO_DATA(GPIO_D, BUZZER) = on ? BUZZER : 0;
}
