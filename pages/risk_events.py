from dashtrade import ui

user = ui.page("risk_events")
