"""What screening found as text, the same on the terminal and in Markdown."""

from collections.abc import Iterator, Sequence

from vbench.analysis.effects import Effect
from vbench.analysis.power import MOST_BLOCKS
from vbench.analysis.screening_results import Interaction, MetricEffects, Screening, SettingEffect
from vbench.config.designs import ONEWAY
from vbench.config.fractional_factorial import LETTERS

NAMES = {
    "latency_mean_s": "mean latency",
    "throughput_requests_per_s": "throughput",
    "transfer_mbps": "transfer rate",
}
"""Metrics that are screened."""

LATENCY_VERDICTS = {"lower": "faster", "higher": "slower"}

NO_BLOCK = "no block with both"

FULL_EXPLANATION = "All combinations were run, so nothing is aliased."


def name(metric: MetricEffects) -> str:
    """The metric in words."""
    return NAMES.get(metric.metric, metric.metric)


def setting_columns(metric: MetricEffects) -> tuple[str, ...]:
    """Heads of the table of settings."""
    return "", "Setting", "From → to", f"Change in {name(metric)} [95%]", "p (Holm)", "n", "Verdict"


def setting_rows(metric: MetricEffects) -> Iterator[tuple[str, ...]]:
    """Cells of the table of settings, the largest change first."""
    for setting in by_size(metric.settings):
        yield (
            setting.letter,
            setting.key,
            f"{setting.baseline} → {setting.value}",
            change(setting.effect),
            p_text(setting.effect),
            str(setting.effect.blocks if setting.effect else 0),
            verdict(metric.metric, setting.effect),
        )


def interaction_columns(metric: MetricEffects) -> tuple[str, ...]:
    """Heads of the table of interactions."""
    return (
        "Interaction",
        f"Both changed: {name(metric)} against the product [95%]",
        "p (Holm)",
        "n",
        "Verdict",
    )


def interaction_rows(metric: MetricEffects) -> Iterator[tuple[str, ...]]:
    """Cells of the table of interactions, the largest change first."""
    for interaction in sorted(metric.interactions, key=lambda one: -abs(one.effect.change_percent)):
        effect = interaction.effect
        yield (
            string(interaction),
            change(effect),
            p_text(effect),
            str(effect.blocks),
            verdict(metric.metric, effect),
        )


def by_size(settings: Sequence[SettingEffect]) -> list[SettingEffect]:
    """The largest change first; those without one last."""
    return sorted(settings, key=lambda one: -abs(one.effect.change_percent) if one.effect else 1.0)


def string(interaction: Interaction) -> str:
    """``A×B + C×D``: the interactions whose effects add up."""
    return " + ".join("×".join(pair) for pair in interaction.pairs)


def change(effect: Effect | None) -> str:
    """``-21% [-25%, -17%]``."""
    if effect is None:
        return NO_BLOCK
    text = _signed(effect.change_percent)
    if effect.low_percent is None or effect.high_percent is None:
        return text
    return f"{text} [{_signed(effect.low_percent)}, {_signed(effect.high_percent)}]"


def _signed(percent: float) -> str:
    if percent > 999:
        return ">+999%"
    return f"{percent:+.1f}%".replace("-0.0", "+0.0") if abs(percent) < 10 else f"{percent:+.0f}%"


def p_text(effect: Effect | None) -> str:
    """P after Holm's correction, with two digits."""
    if effect is None or effect.holm_p is None:
        return ""
    return "<0.001" if effect.holm_p < 0.001 else f"{effect.holm_p:.2g}"


def verdict(metric: str, effect: Effect | None) -> str:
    """The verdict in the words of comparisons: a lower latency is faster."""
    if effect is None:
        return ""
    return (
        LATENCY_VERDICTS.get(effect.direction, effect.direction)
        if metric == "latency_mean_s"
        else (effect.direction)
    )


def matters(setting: SettingEffect) -> bool:
    """Whether its effect is not explained by noise."""
    return setting.effect is not None and setting.effect.direction in ("lower", "higher")


def summary(screening: Screening) -> str:
    """Which settings matter for the latency, and how large an effect of the others could be."""
    latency = screening.metrics[0]
    proven = [setting for setting in by_size(latency.settings) if matters(setting)]
    others = [setting for setting in latency.settings if not matters(setting)]
    count = len(latency.settings)
    noun = _noun(screening)
    if proven:
        names = ", ".join(f"{_label(setting)} ({change(setting.effect)})" for setting in proven)
        subject = f"{len(proven)} of {count} {noun}s matter" if count > 1 else f"The {noun} matters"
        text = f"{subject}{'s' if count > 1 and len(proven) == 1 else ''}: {names}."
    else:
        text = (
            f"None of {count} {noun}s is shown to matter."
            if count > 1
            else f"The {noun} is not shown to matter."
        )
    bounds = [
        max(abs(setting.effect.low_percent), abs(setting.effect.high_percent))
        for setting in others
        if setting.effect
        and setting.effect.low_percent is not None
        and setting.effect.high_percent is not None
    ]
    if not bounds:
        return text
    if len(others) == 1:
        rest = "The other is" if proven else "It is"
        return f"{text} {rest} inconclusive: it may still change the latency, by up to {max(bounds):.1f}%."
    rest = "The others are" if proven else "They are"
    return f"{text} {rest} inconclusive: each may still change the latency, by up to {max(bounds):.1f}%."


def _label(setting: SettingEffect) -> str:
    return f"{setting.key} {setting.baseline} → {setting.value}"


def method(screening: Screening, metric: MetricEffects) -> list[str]:
    """Sentences that say how to read the tables."""
    count = len(metric.settings)
    family = f"Holm's correction is over {count} settings" if count > 1 else "There is one setting"
    verdicts = (
        "A verdict needs a p of at most 0.05 after it, so an interval without 0 can be inconclusive."
        if count > 1
        else "A verdict needs a p of at most 0.05."
    )
    if screening.design.name == ONEWAY:
        return [
            "Change: one setting changed, all others at their first values, paired by block; negative is"
            " lower."
            f" [ ]: 95% intervals over n blocks. {family.replace('settings', 'changes')}. {verdicts}"
            " How settings act together is not measured: design=fractional does that."
        ]
    lines = [
        "Change: from the first to the second value, over both values of all other settings; negative is"
        " lower."
        f" [ ]: 95% intervals over n blocks of {screening.runs} runs. {family}. {verdicts}"
    ]
    if metric.interactions:
        lines.append(_interactions(screening, metric))
    return lines


def _interactions(screening: Screening, metric: MetricEffects) -> str:
    strings = len(metric.interactions)
    text = (
        "Interaction: both settings at their second values, against the product of their single changes."
        f" Holm's correction is over all {strings} rows, apart from that of the settings."
    )
    if not any(len(interaction.pairs) > 1 for interaction in metric.interactions):
        return f"{text} {FULL_EXPLANATION}" if screening.design.resolution is None else text
    return (
        f"{text} Interactions joined by + are aliased: these runs show the sum of their effects, not which of"
        " them it is. To separate them, sweep these settings alone. Changes of single settings are aliased"
        " only with interactions of three or more settings."
    )


def letters(screening: Screening) -> str:
    """``A = runtime, B = mode``, in a fractional design."""
    keys = (factor.key for factor in screening.design.factors)
    return ", ".join(f"{letter} = {key}" for letter, key in zip(LETTERS, keys, strict=False))


def precision(screening: Screening) -> list[str]:
    """How many blocks narrower intervals need; nothing if they are narrow enough, or unknown."""
    known = [setting.effect for setting in screening.metrics[0].settings if setting.effect is not None]
    wide = [effect for effect in known if (effect.half_width_points or 0) > effect.wanted_points]
    if not wide:
        return []
    widest = max(wide, key=lambda effect: effect.half_width_points or 0)
    width = min(widest.half_width_points or 0, 1000)
    text = f"The widest interval of a {_noun(screening)} is ±{width:.1f} points."
    wanted = f"±{widest.wanted_points:g} points"
    if widest.blocks_for_precision is None:
        return [f"{text} {wanted} would take more than {MOST_BLOCKS} blocks, by the spread so far."]
    return [
        f"{text} For {wanted}, run a new sweep with blocks={widest.blocks_for_precision} (by the spread so"
        f" far) and judge it on its own."
    ]


def _noun(screening: Screening) -> str:
    return "change" if screening.design.name == ONEWAY else "setting"


def left_out(screening: Screening) -> list[str]:
    """A sentence per block that does not count."""
    return [f"Not counted: {gap}, and effects need every run of a block." for gap in screening.dropped]
