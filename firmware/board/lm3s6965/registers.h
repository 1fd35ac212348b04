/* Registers of the LM3S6965 that this board uses; addresses and bits as in its data sheet. */
#ifndef EDGED_LM3S6965_REGISTERS_H
#define EDGED_LM3S6965_REGISTERS_H

#include <stdint.h> /* uint32_t, uintptr_t */

#define REG(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* Cortex-M3: system timer, interrupt controller, system control block. */
#define SYST_CSR REG(0xE000E010U)
#define SYST_RVR REG(0xE000E014U)
#define SYST_CVR REG(0xE000E018U)
#define NVIC_ISER0 REG(0xE000E100U)
#define NVIC_PRIORITY(irq) (*(volatile uint8_t *)(uintptr_t)(0xE000E400U + (irq)))
#define SCB_AIRCR REG(0xE000ED0CU)
#define SCB_SHCSR REG(0xE000ED24U)
#define SCB_CFSR REG(0xE000ED28U)
#define SCB_HFSR REG(0xE000ED2CU)
#define SCB_BFAR REG(0xE000ED38U)
#define SCB_DEMCR REG(0xE000EDFCU)
#define DWT_CTRL REG(0xE0001000U)
#define DWT_CYCCNT REG(0xE0001004U)

#define AIRCR_SYSRESETREQ 0x05FA0004U
#define SHCSR_FAULTS_ENABLED (7U << 16)
#define DEMCR_TRACE (1U << 24)
#define DWT_COUNTING 1U

/* System control. */
#define SYSCTL_DID1 REG(0x400FE004U)
#define SYSCTL_PBORCTL REG(0x400FE030U)
#define SYSCTL_RIS REG(0x400FE050U)
#define SYSCTL_RESC REG(0x400FE05CU)
#define SYSCTL_RCC REG(0x400FE060U)
#define SYSCTL_RCGC0 REG(0x400FE100U)
#define SYSCTL_RCGC1 REG(0x400FE104U)
#define SYSCTL_RCGC2 REG(0x400FE108U)
#define SYSCTL_USER0 REG(0x400FE1E0U)
#define SYSCTL_USER1 REG(0x400FE1E4U)

#define RESC_PIN (1U << 0)
#define RESC_POWER (1U << 1)
#define RESC_BROWN_OUT (1U << 2)
#define RESC_WATCHDOG (1U << 3)
#define RESC_SOFTWARE (1U << 4)

/* Watchdog. */
#define WDT_LOAD REG(0x40000000U)
#define WDT_CTL REG(0x40000008U)
#define WDT_LOCK REG(0x40000C00U)
#define WDT_UNLOCK 0x1ACCE551U

/* UART 0, a PL011. */
#define UART_DR REG(0x4000C000U)
#define UART_RSR REG(0x4000C004U)
#define UART_FR REG(0x4000C018U)
#define UART_IBRD REG(0x4000C024U)
#define UART_FBRD REG(0x4000C028U)
#define UART_LCRH REG(0x4000C02CU)
#define UART_CTL REG(0x4000C030U)
#define UART_IFLS REG(0x4000C034U)
#define UART_IMSC REG(0x4000C038U)
#define UART_ICR REG(0x4000C044U)

#define UART_FR_BUSY (1U << 3)
#define UART_FR_RXFE (1U << 4)
#define UART_FR_TXFF (1U << 5)
#define UART_INT_RX (1U << 4)
#define UART_INT_TX (1U << 5)
#define UART_INT_RT (1U << 6)

/* GPIO ports, PL061. A data access touches only the bits that its address names. */
#define GPIO_A 0x40004000U
#define GPIO_B 0x40005000U
#define GPIO_D 0x40007000U
#define GPIO_E 0x40024000U
#define GPIO_F 0x40025000U
#define GPIO_DATA(port, mask) REG((port) + ((uint32_t)(mask) << 2))
#define GPIO_DIR(port) REG((port) + 0x400U)
#define GPIO_AFSEL(port) REG((port) + 0x420U)
#define GPIO_ODR(port) REG((port) + 0x50CU)
#define GPIO_PUR(port) REG((port) + 0x510U)
#define GPIO_DEN(port) REG((port) + 0x51CU)

/* General-purpose timers. */
#define TIMER_0 0x40030000U
#define TIMER_1 0x40031000U
#define TIMER_2 0x40032000U
#define TIMER_CFG(timer) REG((timer) + 0x00U)
#define TIMER_TAMR(timer) REG((timer) + 0x04U)
#define TIMER_CTL(timer) REG((timer) + 0x0CU)
#define TIMER_IMR(timer) REG((timer) + 0x18U)
#define TIMER_ICR(timer) REG((timer) + 0x24U)
#define TIMER_TAILR(timer) REG((timer) + 0x28U)

#define TIMER_ONE_SHOT 1U
#define TIMER_PERIODIC 2U
#define TIMER_ENABLE (1U << 0)
#define TIMER_TRIGGER (1U << 5)
#define TIMER_TIMEOUT (1U << 0)

/* Analogue-to-digital converter. */
#define ADC_ACTSS REG(0x40038000U)
#define ADC_EMUX REG(0x40038014U)
#define ADC_SSMUX3 REG(0x400380A0U)
#define ADC_SSCTL3 REG(0x400380A4U)
#define ADC_SSFIFO3 REG(0x400380A8U)
#define ADC_SSFSTAT3 REG(0x400380ACU)

/* I2C 0, as master. */
#define I2C_MSA REG(0x40020000U)
#define I2C_MCS REG(0x40020004U)
#define I2C_MDR REG(0x40020008U)
#define I2C_MTPR REG(0x4002000CU)
#define I2C_MCR REG(0x40020020U)

/* Interrupt numbers. */
#define IRQ_UART0 5U
#define IRQ_WATCHDOG 18U
#define IRQ_TIMER_0 19U
#define IRQ_TIMER_1 21U
#define IRQ_TIMER_2 23U

#endif
