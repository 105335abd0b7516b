"""`sfumato recipes`: what can be trained."""


def recipes() -> None:
    """List the recipes: one experiment each, most of them under the name that its lecture or paper gave it.

    Example: [bold]sfumato recipes[/]
    """
    from sfumato.app.console import facts_table, output
    from sfumato.recipes import RECIPES
    from sfumato.recipes.cascades import TOLD as CASCADES_TOLD

    output.print(facts_table([*RECIPES.items(), *CASCADES_TOLD.items()]))
