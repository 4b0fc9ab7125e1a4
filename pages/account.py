from dashtrade import ui

user = ui.page("account")
