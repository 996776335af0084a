"""Continual fine-tuning on a spectrally bounded shared substrate: `from crma import CrmaConfig, ContinualModel`."""
__version__ = "0.1.0"


def __getattr__(name):
    "The two public classes, imported when first asked for: `import crma` stays light, and PEFT then knows the method."
    if name in ("CrmaConfig", "ContinualModel"):
        from crma import cards, model, routing  # routing adds route and generate to ContinualModel, cards its model card and push_to_hub
        return getattr(model, name)
    raise AttributeError(f"module 'crma' has no attribute {name!r}")
