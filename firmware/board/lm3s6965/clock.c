/* The clocks. The processor runs at 12.5 MHz: a 24-bit counter then lasts 1.3 s, longer than anybody forgets to read it. */

#include "clock.h"

#include "critical.h"  /* critical_enter, critical_leave */
#include "registers.h" /* SYSCTL_…, SYST_…, TIMER_… */
#include "vectors.h"   /* on_systick, on_timer1 */

enum { PLL_TURNS = 100000 }; /* of the waiting loop: tens of milliseconds, where the data sheet says 0.5 ms */

#define COUNTER 0xFFFFFFU
#define RCC_BYPASS (1U << 11)
#define RCC_PLL_OFF (1U << 13)
#define RCC_DIVIDED (1U << 22)
#define RCC_SOURCES 0x3F1U /* crystal, oscillator, main oscillator off */
#define RCC_CRYSTAL_8_MHZ (0xEU << 6)
#define RCC_BY_16 (0xFU << 23)
#define RIS_PLL_LOCKED (1U << 6)

static uint64_t ticks;
static uint32_t counted;

/*
 * 8 MHz crystal, PLL 200 MHz, by 16. Without a lock it goes on with the crystal undivided: the line's rate is wrong then,
 * so that nobody can have a lamp lit by a clock that is slow, and the host tells people that the head is gone.
 */
static void start_pll(void) {
    SYSCTL_RCC = (SYSCTL_RCC | RCC_BYPASS) & ~RCC_DIVIDED;
    SYSCTL_RCC = (SYSCTL_RCC & ~(RCC_SOURCES | RCC_PLL_OFF)) | RCC_CRYSTAL_8_MHZ;
    SYSCTL_RCC |= RCC_BY_16 | RCC_DIVIDED;
    for (int turn = 0; turn < PLL_TURNS && (SYSCTL_RIS & RIS_PLL_LOCKED) == 0; turn++) {
    }
    const bool locked = (SYSCTL_RIS & RIS_PLL_LOCKED) != 0;
    SYSCTL_RCC &= locked ? ~RCC_BYPASS : ~RCC_DIVIDED;
}

void clock_prepare_timer(uint32_t timer, uint32_t mode, uint32_t irq, uint8_t priority) {
    TIMER_CTL(timer) = 0;
    TIMER_CFG(timer) = 0;
    TIMER_TAMR(timer) = mode;
    TIMER_IMR(timer) = TIMER_TIMEOUT;
    NVIC_PRIORITY(irq) = (uint8_t)(priority << 5);
    NVIC_ISER0 = 1U << irq;
}

void clock_start(void) {
    start_pll();
    SYSCTL_RCGC1 |= 7U << 16; /* timers 0, 1, 2 */
    (void)SYSCTL_RCGC1;       /* their clocks run some cycles later */
    SYST_RVR = COUNTER;
    SYST_CVR = 0;
    SYST_CSR = 7; /* processor's clock, interrupt, on */
    clock_prepare_timer(TIMER_1, TIMER_PERIODIC, IRQ_TIMER_1, 3);
    TIMER_TAILR(TIMER_1) = TICKS_PER_MS; /* a little after each millisecond of clock_us(): in time for its sample */
    TIMER_CTL(TIMER_1) = TIMER_ENABLE;
}

/* Ticks since the start: what the counter has run down since it was last looked at. A late interrupt costs no time. */
static uint64_t now(void) {
    const uint32_t mask = critical_enter();
    const uint32_t value = SYST_CVR;
    ticks += (counted - value) & COUNTER;
    counted = value;
    const uint64_t result = ticks;
    critical_leave(mask);
    return result;
}

uint64_t clock_us(void) {
    return now() * 2U / 25U;
}

uint32_t clock_ticks(uint64_t us) {
    const uint64_t count = us * 25U / 2U;
    if (count > UINT32_MAX) {
        return UINT32_MAX;
    }
    return count < 1 ? 1 : (uint32_t)count;
}

/* Once a turn of the counter, so that no turn is missed however long nobody asks. */
void on_systick(void) {
    (void)now();
}

/* The tick; being woken is all. */
void on_timer1(void) {
    TIMER_ICR(TIMER_1) = TIMER_TIMEOUT;
}

/* Interrupts stay shut from the look at `awake` to WFI, which ends on a pending one all the same: none slips between. */
void clock_sleep(uint64_t until_us, bool (*awake)(void)) {
    const uint32_t mask = critical_enter();
    if (clock_us() < until_us && !awake()) {
        __asm volatile("dsb\n wfi" ::: "memory");
    }
    critical_leave(mask);
}
