"""BT03: the modes and alarms of the meter."""

from typing import Any

from .._model import F, Field, M, P, bits, flag, reserved, table


def _byte(at: int, alarms: list[tuple[str, str, str, str]], **more: Any) -> Field:
    """One byte of manufacturer alarms: name, printed name, first firmware and a remark of each, from bit 0 on."""
    rows = [
        flag(name, bit, spec, vci=M, since=since or None, doc=doc)
        for bit, (name, spec, since, doc) in enumerate(alarms)
    ]
    return bits(
        f"manufacturer_{at}",
        1,
        rows,
        at=str(at),
        vci=M,
        **more,
    )


BT03 = table(
    "BT03",
    "End Device Mode Status",
    "Optical guide, BT03, p. 45",
    [
        bits(
            "mode",
            1,
            [
                flag("metering_mode", 0, "Metering Mode", vci=F, doc="the meter measures; a mode, no alarm"),
                flag("test_mode", 1, "Test Mode", vci=P, doc="a mode, no alarm"),
                flag("meter_shop_mode", 2, "Meter Shop Mode", vci=F, doc="a mode, no alarm"),
            ],
            at="0",
            page=45,
        ),
        bits(
            "standard",
            2,
            [
                flag("unprogrammed", 0, "Unprogrammed", vci=M),
                flag("configuration_error", 1, "Configuration Error", vci=M),
                flag("system_reset", 2, "System Reset", vci=M),
                flag("ram_failure", 3, "RAM Failure", vci=M),
                flag("rom_failure", 4, "ROM Failure", vci=M),
                flag("nonvolatile_memory_failure", 5, "Non-volatile Memory Failure", vci=M),
                flag("clock_error", 6, "Clock Error", vci=M),
                flag("measurement_error", 7, "Measurement Error", vci=M),
                flag("low_battery", 8, "Low Battery", vci=M),
                flag("low_loss_potential", 9, "Low Loss Potential", vci=M),
                flag("demand_overload", 10, "Demand Overload", vci=M),
                flag("power_failure", 11, "Power Failure", vci=M, page=46),
                flag("cover_removed", 12, "Cover Removed", vci=M),
                flag("reverse_energy", 13, "Reverse Energy", vci=M),
                flag("data_backup_incomplete", 14, "Data Backup Incomplete", vci=M),
                flag("disconnect_switch_error", 15, "Disconnect Switch Error", vci=M),
            ],
            at="1",
            vci=M,
            doc="the alarms of C12.19, bits 8..15 in byte 2",
        ),
        bits(
            "extended",
            1,
            [
                flag(
                    "load_profile_2_unread",
                    0,
                    "Load Profile Data Set 2 Unread Entries Exist",
                    vci=M,
                    since="3.50",
                    doc="that of data set 1 is in byte 7",
                ),
                flag("load_profile_3_unread", 1, "Load Profile Data Set 3 Unread Entries Exist", vci=M, since="3.50"),
                flag("load_profile_4_unread", 2, "Load Profile Data Set 4 Unread Entries Exist", vci=M, since="3.50"),
                flag(
                    "neutral_current_deviation",
                    3,
                    "Neutral Current Deviation",
                    vci=M,
                    since="3.60",
                    doc="from 4.0 on the earth fault detection where ET29.33.7 is set",
                ),
            ],
            "Extended Alarms",
            at="3",
            vci=M,
            printed="SET(1)",
            page=46,
            doc="no part of the manufacturer's set",
        ),
        _byte(
            4,
            [
                (
                    "load_profile_overflow",
                    "Load Profile Overflow",
                    "",
                    "from 3.50 on of the primary data set alone; manufacturer alarm 0",
                ),
                ("self_read_occurred", "Self-Read Occurred", "", ""),
                ("load_disconnect_changed", "Load Disconnect Has Changed State", "", ""),
                ("control_relay_1_open", "Control Relay (1) Open", "", "of meters with one control relay, that one"),
                ("phase_loss", "Phase Loss", "", ""),
                ("phase_inversion", "Phase Inversion", "", ""),
                ("plc_config_failure", "PLC Config Failure", "", ""),
                ("general_error", "General Error", "", ""),
            ],
            spec="Mfg-defined alarms",
            printed="SET(BT00.17)",
            doc="BT00.17 bytes from 4 on; at least 6 where all the alarms named here are there",
        ),
        _byte(
            5,
            [
                ("invalid_password", "Invalid Password", "", ""),
                ("remote_communications_inactive", "Remote Communications Inactive", "", ""),
                ("current_on_missing_phase", "Current on Missing or Unused Phase", "", ""),
                ("pulse_input_1_tamper", "Pulse Input 1 Tamper", "", ""),
                ("pulse_input_2_tamper", "Pulse Input 2 Tamper", "", ""),
                ("software_crc_error", "Software CRC Error", "", ""),
                ("code_bank_changed", "Code Bank Changed", "", ""),
                ("load_profile_backfill_failed", "Load Profile Backfill Failed", "", ""),
            ],
        ),
        _byte(
            6,
            [
                ("mep_installed_or_removed", "MEP Installed or Removed", "2.10", ""),
                (
                    "mbus_alarm",
                    "M-Bus Alarm",
                    "2.10",
                    "a new bit in ET14's alarms, cleared by EP18; likely what the MEP guide (p. 87) calls MEP alarm",
                ),
                ("mbus_auto_discovery_complete", "M-Bus Auto-Discovery Complete", "2.10", ""),
                ("phase_rotation_changed", "Phase Rotation Changed", "2.10", ""),
                ("prepay_credit_exhausted", "Prepay Credit Exhausted", "2.10", ""),
                ("prepay_warning_acknowledged", "Prepay Warning Acknowledged", "2.10", ""),
                (
                    "event_log_overflow_pending",
                    "Event Log Overflow Pending",
                    "2.00",
                    "printed under 2.12 and 3.01, with the remark that 2.0 has it",
                ),
                ("log_entry_available", "Mfg Log Entry Available", "2.12", "of the logs of ET36; 3.X meters from 3.01"),
            ],
        ),
        _byte(
            7,
            [
                (
                    "dimension_change",
                    "Dimension Change",
                    "2.12",
                    "dimensions of tables are others; likely what the MEP guide (p. 111) calls Interface Change Alarm",
                ),
                ("magnetic_tamper", "Magnetic Tamper Detected", "2.12", ""),
                ("access_lockout_override", "Access Lockout Override", "2.12", ""),
                ("power_quality_event", "Power Quality Event Detected", "2.12", ""),
                ("event_log_unread", "Event Log Unread Entries", "2.12", ""),
                ("thd_state_changed", "THD State Changed", "2.12", "total harmonic distortion"),
                (
                    "load_profile_1_unread",
                    "Load Profile 1 Unread Entries Exist",
                    "3.10",
                    "those of data sets 2 to 4 are in byte 3",
                ),
                ("load_side_voltage", "Load Side Voltage Detected", "3.30", "voltage behind an open disconnect"),
            ],
            page=47,
        ),
        _byte(
            8,
            [
                ("unbalanced_voltage", "Unbalanced Voltage Detected", "3.60", ""),
                ("password_table_written", "Password Table Written To", "3.70", ""),
                (
                    "password_expiration_pending",
                    "Password (Key) Expiration Pending",
                    "3.80",
                    "also on 2.04, 2.13 and 3.13",
                ),
                ("p2p_security", "P2P Security", "4.10", ""),
                ("firmware_separation_violation", "Firmware Separation Violation", "4.10", ""),
                ("modem_error", "Modem Error", "4.10", ""),
                ("g3_alarm", "G3 Alarm", "4.20", "of the G3 PLC network"),
                ("g3_event_logged", "G3 Event Logged", "4.20", ""),
            ],
        ),
        _byte(
            9,
            [
                (
                    "control_relay_2_open",
                    "Control Relay (2) Open",
                    "4.30",
                    "of meters with two control relays; means nothing on others",
                )
            ],
        ),
        reserved(
            "(BT00.17 > 6) * (BT00.17 - 6)",
            name="manufacturer_rest",
            at="10",
            doc="alarms that neither guide names",
        ),
    ],
    read="",
    write="",
    optical_read="MK, PK, RK",
    doc="4 + BT00.17 bytes, so that the last ones named here are missing where BT00.17 is 4. "
    "The MEP guide reads and clears the table (p. 43) and lists no keys of it.",
)
